"""What decides what ``profile pipeline`` measures."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from facetool.alignment.recipes import Crop
from facetool.detection.options import DetectionSettings
from facetool.embedding.choices import DEFAULT_BATCH_SIZE


@dataclass(frozen=True, kw_only=True)
class PipelineSettings:
    """How photos become embeddings.

    Attributes:
        crop: the recipe, its detector included.
        detection: how that detector is used; default: its default settings.
        device: where the network runs, and a detector on PyTorch: ``auto``, ``cpu``, ``cuda`` or
            ``cuda:N``.
        dtype: its precision, one of :data:`facetool.networks.dtypes.EMBEDDING_DTYPES`.
        iterations: how often each photo is measured.
        batch_size: crops per pass through the network, in folders.
        jobs: worker processes, or threads that share a GPU, in folders; default: all available
            cores.
    """

    crop: Crop
    detection: DetectionSettings | None = None
    device: str | torch.device = "auto"
    dtype: str = "float32"
    iterations: int = 100
    batch_size: int = DEFAULT_BATCH_SIZE
    jobs: int | None = None
