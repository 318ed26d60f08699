"""Defaults of what the commands do. Light: they themselves need torch."""

DEFAULT_TOP = 20
"""Faces that a search lists."""
