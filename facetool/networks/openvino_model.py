"""A model that OpenVINO runs on a CPU, for batches of any size."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

_first_call = threading.Lock()
_has_been_called = threading.Event()
"""OpenVINO's binding prepares itself in the first call of a process. Where another thread calls
meanwhile, each of the two may wait forever for what the other one holds."""


class OpenVinoModel:
    """A model with one image input; may be called from several threads at once.

    It is compiled for batches of fixed sizes, in which it takes a fifth less time than for any.

    Args:
        core: ``openvino.Core``.
        model: of ``core.read_model``; stays as it is.
        properties: to compile it with.
        output: position of the output that is the embedding.
        batch: images that the model takes at once, where it takes no other number.
    """

    def __init__(
        self,
        core: Any,
        model: Any,
        properties: Mapping[str, Any],
        *,
        output: int = 0,
        batch: int = 0,
    ) -> None:
        self._core = core
        self._model = model
        self._properties = dict(properties)
        self._output = output
        self._batch = batch
        self._full = 1
        self._compiled: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._requests = threading.local()

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings (N, D) of float32 (N, H, W, C)."""
        if self._batch and len(pixels) > self._batch:
            parts = range(0, len(pixels), self._batch)
            return np.concatenate([self(pixels[start : start + self._batch]) for start in parts])
        from openvino import Tensor

        count = len(pixels)
        size, request = self._request(count)
        if size > count:
            pixels = np.pad(pixels, ((0, size - count), (0, 0), (0, 0), (0, 0)))
        with nullcontext() if _has_been_called.is_set() else _first_call:
            # What ``infer`` looks up for every call takes a tenth of a face's time.
            given = Tensor(np.ascontiguousarray(pixels), shared_memory=True)
            request.set_input_tensor(given)
            request.start_async()
            request.wait()
            found = np.array(request.get_output_tensor(self._output).data[:count], np.float32)
        _has_been_called.set()
        return found

    def _request(self, count: int) -> tuple[int, Any]:
        """A size of batch that holds ``count`` images, and this thread's own request of that size.

        Either one image or the largest batch so far: to compile for every size in between would
        take longer than to fill a batch up.
        """
        with self._lock:
            self._full = max(self._full, count)
            size = self._batch or (1 if count == 1 else self._full)
            if size not in self._compiled:
                self._compiled[size] = self._compile(size)
        requests = vars(self._requests)
        key = f"of {size}"
        if key not in requests:
            requests[key] = self._compiled[size].create_infer_request()
        return size, requests[key]

    def _compile(self, size: int) -> Any:
        """The model for batches of a size; its input has the channels last, as crops have."""
        from openvino import Layout
        from openvino.preprocess import PrePostProcessor

        model = self._model.clone()
        if not self._batch:
            model.reshape([size, *list(model.input().partial_shape)[1:]])
        steps = PrePostProcessor(model)
        steps.input().tensor().set_layout(Layout("NHWC"))
        steps.input().model().set_layout(Layout("NCHW"))
        return self._core.compile_model(steps.build(), "CPU", self._properties)


def stream_properties(streams: int, threads: int) -> dict[str, Any]:
    """Properties for calls that run side by side.

    Args:
        streams: so many; each has its part of the threads.
        threads: in all.
    """
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,  # other processes use the cores too
    }
