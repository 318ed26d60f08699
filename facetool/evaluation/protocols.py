"""The protocols of verification by name. Light: NumPy is not imported."""

PROTOCOLS = ("openface", "insightface", "facenet")

METRICS = ("squared-l2", "arccos")
"""Distances that facenet's protocol knows."""
