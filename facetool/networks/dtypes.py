"""The precisions that networks compute in. Light: torch is not imported."""

DTYPES = ("float32", "bfloat16", "float16")
