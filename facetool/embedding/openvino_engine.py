"""Networks run by OpenVINO instead of PyTorch, on a CPU."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facetool.errors import UsageError
from facetool.files.cache import cache_folder
from facetool.networks.base import EmbeddingNetwork
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
        self._onnx = to_onnx(network, fold=True, lrn_operator=True)
        self._properties = {
            "INFERENCE_PRECISION_HINT": _HINTS[dtype],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "ENABLE_CPU_PINNING": False,  # other processes use the cores too
        }
        self._full = 1
        self._compiled: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._requests = threading.local()

    def __call__(self, inputs: Tensor) -> Tensor:
        """Embeddings (N, D), float32, of float32 (N, 3, H, W) in channels_last."""
        count = len(inputs)
        size, request = self._request(count)
        pixels = np.ascontiguousarray(inputs.permute(0, 2, 3, 1).numpy())
        if size > count:
            pixels = np.pad(pixels, ((0, size - count), (0, 0), (0, 0), (0, 0)))
        (embeddings,) = request.infer([pixels], share_inputs=True).values()
        return torch.from_numpy(np.array(embeddings[:count], np.float32))

    def _has_bfloat16(self) -> bool:
        return "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def _request(self, count: int) -> tuple[int, Any]:
        """A size of batch that holds ``count`` images, and this thread's own request of that size.

        Either one image or the largest batch so far: to compile for every size in between would
        take longer than to fill a batch up.
        """
        with self._lock:
            self._full = max(self._full, count)
            size = 1 if count == 1 else self._full
            if size not in self._compiled:
                self._compiled[size] = self._compile(size)
        requests = vars(self._requests)
        key = f"of {size}"
        if key not in requests:
            requests[key] = self._compiled[size].create_infer_request()
        return size, requests[key]

    def _compile(self, size: int) -> Any:
        """The network for batches of a size; its input has the channels last, as crops have."""
        from openvino import Layout
        from openvino.preprocess import PrePostProcessor

        model = self._core.read_model(self._onnx)
        model.reshape([size, *list(model.input().partial_shape)[1:]])
        steps = PrePostProcessor(model)
        steps.input().tensor().set_layout(Layout("NHWC"))
        steps.input().model().set_layout(Layout("NCHW"))
        return self._core.compile_model(steps.build(), "CPU", self._properties)
