"""How embeddings are computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
import torch

from facetool._version import __version__
from facetool.embedding.choices import DEFAULT_BATCH_SIZE, ENGINES, FLIPS
from facetool.embedding.embedder import resolve_dtype
from facetool.errors import check_choice, check_range
from facetool.files.represent_description import RepresentDescription
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import resolve_device
from facetool.networks.dtypes import EMBEDDING_DTYPES
from facetool.networks.engine import PACKAGES, EngineNetwork


@dataclass(frozen=True, kw_only=True)
class RepresentSettings:
    """How embeddings are computed.

    Attributes:
        device: where the network runs, as :func:`facetool.resolve_device` takes it; for
            :func:`facetool.embed` also ``cuda:all``, every GPU of this machine or of the cluster.
        dtype: ``float32``, ``bfloat16``, ``float16``, or ``auto``: bfloat16 where the device
            computes in it and the network is known to keep its accuracy, else float32.
        flip: ``none``, ``sum`` or ``concat``.
        batch_size: images per pass.
        any_crop: take images that nothing shows to be the network's crops.
        engine: ``torch`` or ``openvino``.

    Raises:
        UsageError: a setting has no such choice, or is out of its range.
    """

    device: str | torch.device = "auto"
    dtype: str = "float32"
    flip: str = "none"
    batch_size: int = DEFAULT_BATCH_SIZE
    any_crop: bool = False
    engine: str = "torch"

    def __post_init__(self) -> None:
        check_choice("dtype", self.dtype, EMBEDDING_DTYPES)
        check_choice("flip", self.flip, FLIPS)
        check_choice("engine", self.engine, ENGINES)
        check_range("batch_size", self.batch_size, 1)

    def resolve(self, network: EmbeddingNetwork) -> RepresentSettings:
        """The same with the device and the dtype that ``auto`` stands for with a network.

        Raises:
            UsageError: there is no such device or dtype.
        """
        device = resolve_device(self.device)
        return replace(self, device=device, dtype=resolve_dtype(self.dtype, device, network))

    def description(self, network: EmbeddingNetwork) -> RepresentDescription:
        """What embeddings by resolved settings depend on, but for the device and the images."""
        threshold = network.info.threshold
        engine = self.engine_of(network)
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
            engine=engine,
            batch_size=self.batch_size,
            versions=versions(engine),
        )

    def engine_of(self, network: EmbeddingNetwork) -> str | None:
        """Name of the package that runs a network, which its file may decide; ``None``: PyTorch."""
        if isinstance(network, EngineNetwork):
            return PACKAGES[network.engine_name]
        return None if self.engine == "torch" else self.engine


def versions(engine: str | None = None) -> dict[str, str]:
    """Of facetool and of the libraries that compute.

    Args:
        engine: package that runs the network instead of PyTorch.
    """
    found = {"facetool": __version__, "torch": torch.__version__, "numpy": np.__version__}
    if engine:
        found[engine] = import_module(engine).__version__
    return found
