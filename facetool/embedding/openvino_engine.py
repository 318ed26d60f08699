"""Networks run by OpenVINO instead of PyTorch, on a CPU."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import torch
from torch import Tensor

from facetool._version import __version__
from facetool.errors import OutputError, UsageError
from facetool.files.atomic import atomic_write
from facetool.files.cache import cache_folder
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.fold import FoldedNetwork, fold_batch_norm
from facetool.networks.openvino_model import (
    OpenVinoModel,
    precision_property,
    stream_properties,
)

_SEAL = hashlib.sha256().digest_size


class OpenVinoNetwork:
    """A network compiled by OpenVINO; may be called from several threads at once.

    Networks are kept as ONNX in the user's cache folder: to write them takes a second and more,
    to compile them a tenth of one.

    Args:
        network: in eval mode; stays as it is.
        dtype: ``float32`` or ``bfloat16``.
        streams: calls that run side by side; each has its part of the threads.
        threads: in all.

    Raises:
        UsageError: OpenVINO is not installed, or cannot compute in this precision here.
        WeightsError: the network does something that ONNX has no operator for.
    """

    def __init__(self, network: EmbeddingNetwork, dtype: str, streams: int, threads: int) -> None:
        try:
            import openvino
        except ImportError:
            raise UsageError(
                "engine='openvino' needs OpenVINO: pip install 'facetool[openvino]'",
                "engine='openvino'",
            ) from None
        core = openvino.Core()
        properties = {**precision_property(core, dtype), **stream_properties(streams, threads)}
        model = core.read_model(_as_onnx(fold_batch_norm(network)))
        self._model = OpenVinoModel(core, model, properties)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Embeddings (N, D), float32, of float32 (N, 3, H, W) in channels_last."""
        return self._model(inputs)


def _as_onnx(network: FoldedNetwork) -> bytes:
    """A network as an ONNX file, which an earlier command may have kept.

    What is kept begins with its checksum, which no damaged file has, nor one of another network.
    """
    name = _digest(network)
    path = cache_folder() / "openvino" / f"{name}.kept"
    with suppress(OSError):
        with path.open("rb") as file:
            seal, kept = file.read(_SEAL), file.read()
        if seal == _seal(name, kept):
            return kept
    from facetool.weights.onnx_export import to_onnx

    contents = to_onnx(network, lrn_operator=True)
    with suppress(OutputError), atomic_write(path) as file:
        file.writelines([_seal(name, contents), contents])
    return contents


def _seal(name: str, contents: bytes) -> bytes:
    value = hashlib.sha256(name.encode(), usedforsecurity=False)
    value.update(contents)
    return value.digest()


def _digest(network: FoldedNetwork) -> str:
    """Of all that an ONNX file of a network depends on."""
    value = hashlib.sha256(usedforsecurity=False)
    for text in (__version__, torch.__version__, str(network), network.body.code):
        value.update(text.encode() + b"\0")
    for name, tensor in network.state_dict().items():
        value.update(f"{name} {tensor.dtype} {list(tensor.shape)}\0".encode())
        value.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return value.hexdigest()
