"""Networks run by OpenVINO instead of PyTorch, on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from facetool.errors import UsageError
from facetool.files.cache import cache_folder
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.openvino_model import OpenVinoModel, stream_properties
from facetool.weights.onnx_export import to_onnx

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoNetwork:
    """A network compiled by OpenVINO; may be called from several threads at once.

    Compiled networks are kept in the user's cache folder, so that the next command need not
    compile them.

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
        if dtype not in _HINTS:
            raise UsageError(
                f"engine='openvino' computes in {' or '.join(_HINTS)}, not in {dtype}",
                "engine='openvino'",
            )
        self._core = openvino.Core()
        if dtype == "bfloat16" and not self._has_bfloat16():
            raise UsageError("this processor has no bfloat16; leave dtype out", "dtype")
        self._core.set_property({"CACHE_DIR": str(cache_folder() / "openvino")})
        model = self._core.read_model(to_onnx(network, fold=True, lrn_operator=True))
        properties = {
            "INFERENCE_PRECISION_HINT": _HINTS[dtype],
            **stream_properties(streams, threads),
        }
        self._model = OpenVinoModel(self._core, model, properties)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Embeddings (N, D), float32, of float32 (N, 3, H, W) in channels_last."""
        return torch.from_numpy(self._model(inputs.permute(0, 2, 3, 1).numpy()))

    def _has_bfloat16(self) -> bool:
        return "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
