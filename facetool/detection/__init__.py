"""Finding faces and landmarks in photos."""
