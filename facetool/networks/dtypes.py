"""The precisions that networks compute in. Light: torch is not imported."""

DTYPES = ("float32", "bfloat16", "float16")

EMBEDDING_DTYPES = (*DTYPES, "auto")
"""What embeddings may be asked for in; ``auto`` is bfloat16 where that is quicker and safe."""
