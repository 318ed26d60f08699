"""What embeddings can be made with. Light: the embedder itself needs torch."""

FLIPS = ("none", "sum", "concat")
"""What becomes of the embedding of the mirrored crop."""

ENGINES = ("torch", "openvino")
"""What runs the network."""
