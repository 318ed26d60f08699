"""Training embedding networks: data, losses, the loop."""
