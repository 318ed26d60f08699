"""What embeddings can be made with. Light: the embedder itself needs torch."""

FLIPS = ("none", "sum", "concat")
"""What becomes of the embedding of the mirrored crop."""

ENGINES = ("torch", "openvino")
"""What runs the network."""

DEFAULT_BATCH_SIZE = 64
"""Crops in a pass through the network."""
