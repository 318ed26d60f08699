"""What facetool's own safetensors files are known by: the text that comes first in their header."""

from __future__ import annotations

from facetool.files.output_file import IsOne

NETWORK_KEY = "facetool"
CLASSIFIER_KEY = "facetool-classifier"


def safetensors_with(key: str) -> IsOne:
    """Whether a file is safetensors with this text."""
    start = f'{{"__metadata__":{{"{key}":'.encode()
    return lambda file: file.read(8 + len(start))[8:] == start
