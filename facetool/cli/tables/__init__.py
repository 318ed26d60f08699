"""Results as text for the terminal: a file per command."""
