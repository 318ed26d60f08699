"""How embeddings are computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from facetool._version import __version__
from facetool.files.represent_description import RepresentDescription
from facetool.networks.base import EmbeddingNetwork


@dataclass(frozen=True, kw_only=True)
class RepresentSettings:
    """How embeddings are computed.

    Attributes:
        device: where the network runs.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        flip: ``none``, ``sum`` or ``concat``.
        batch_size: images per pass.
        any_crop: take images that nothing shows to be the network's crops.
        engine: ``torch`` or ``openvino``.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: str = "float32"
    flip: str = "none"
    batch_size: int = 64
    any_crop: bool = False
    engine: str = "torch"

    def description(self, network: EmbeddingNetwork) -> RepresentDescription:
        """What the embeddings depend on, but for the device and the images."""
        threshold = network.info.threshold
        return RepresentDescription(
            network=network.info.architecture,
            weights_name=network.info.weights_name,
            weights_sha256=network.info.weights_sha256,
            embedding_size=network.info.embedding_size,
            unit_length=network.info.unit_length,
            threshold=None if threshold is None else threshold.as_dict(),
            recipe=network.recipe.as_dict(),
            flip=self.flip,
            dtype=self.dtype,
            engine=None if self.engine == "torch" else self.engine,
            batch_size=self.batch_size,
            versions=versions(),
        )


def device_name(device: torch.device) -> str:
    """``cpu``, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    """Of facetool and of the libraries that compute."""
    return {"facetool": __version__, "torch": torch.__version__, "numpy": np.__version__}
