"""The stages: align, represent, compare. They read folders and write files."""
