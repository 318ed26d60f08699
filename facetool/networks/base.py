"""What every embedding network has in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from facetool.alignment.recipes import Recipe


class EmbeddingNetwork(nn.Module):
    """A network from face crops to embeddings.

    ``forward`` takes float32 (N, 3, H, W) made as :attr:`recipe` says and returns (N, D).

    Attributes:
        architecture: registry name such as ``nn4.small2``, or ``custom`` where none fits.
        options: the arguments that, with the architecture, build the same network again.
        embedding_size: D.
        recipe: from photo to input tensor; travels with the weights.
        unit_length: whether embeddings are scaled to unit length before they are compared.
        variant: which definition of the architecture, where it has several.
        weights_path: file that the weights were read from.
        weights_sha256: of that file.
        weights_name: its name in the catalogue, or else the file's name.
    """

    architecture: str = "custom"
    unit_length: bool = True
    variant: str = ""
    weights_path: Path | None = None
    weights_sha256: str = ""
    weights_name: str = ""
    options: dict[str, Any]
    embedding_size: int
    recipe: Recipe
