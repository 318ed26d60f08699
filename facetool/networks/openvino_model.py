"""A model that OpenVINO runs on a CPU, for batches of any size."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from facetool.errors import UsageError

_HINTS = {"float32": "f32", "bfloat16": "bf16"}

_MOST = 16
"""Images in the model at once. What more of them make of one layer leaves the processor's caches
before the next layer reads it: in batches of 64 MobileFaceNet takes a tenth longer, and no network
takes less."""

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

    def __call__(self, inputs: Tensor) -> Tensor:
        """Embeddings (N, D), float32, of float32 (N, C, H, W) on the CPU, best in channels_last."""
        most = self._batch or _MOST
        if len(inputs) > most:
            return torch.cat([self(part) for part in torch.split(inputs, most)])
        request = self._request(len(inputs))
        if _has_been_called.is_set():
            return request(inputs)
        with _first_call:
            found = request(inputs)
        _has_been_called.set()
        return found

    def in_dtype(self, dtype: str) -> OpenVinoModel:
        """The same model that computes in ``dtype`` what is not in 8 bits.

        Raises:
            UsageError: OpenVINO cannot, or not on this processor.
        """
        properties = {**self._properties, **precision_property(self._core, dtype)}
        return OpenVinoModel(
            self._core, self._model, properties, output=self._output, batch=self._batch
        )

    def _request(self, count: int) -> _Request:
        """This thread's own request for a batch that holds ``count`` images.

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
            requests[key] = _Request(self._compiled[size], self._output)
        return requests[key]  # type: ignore[no-any-return]

    def _compile(self, size: int) -> Any:
        """The model for batches of a size; its input has the channels last, as crops have.

        Raises:
            UsageError: OpenVINO cannot compute it in bfloat16, although the processor can.
        """
        from openvino import Layout
        from openvino.preprocess import PrePostProcessor

        model = self._model.clone()
        _split_prelu(model)
        if not self._batch:
            model.reshape([size, *list(model.input().partial_shape)[1:]])
        steps = PrePostProcessor(model)
        steps.input().tensor().set_layout(Layout("NHWC"))
        steps.input().model().set_layout(Layout("NCHW"))
        try:
            return self._core.compile_model(steps.build(), "CPU", self._properties)
        except RuntimeError as error:
            # A cap such as ONEDNN_MAX_CPU_ISA is not in what OpenVINO says of the processor.
            if self._properties.get("INFERENCE_PRECISION_HINT") != _HINTS["bfloat16"]:
                raise
            raise UsageError(
                "OpenVINO cannot run this network in bfloat16 here; leave dtype out", "dtype"
            ) from error


class _Request:
    """Runs a compiled model, again and again in one thread.

    A single face has to be fast: whatever Python does before and after it costs three times as
    much as usual, as the network has taken its place in the processor's caches. So what can be is
    done once.
    """

    def __init__(self, compiled: Any, output: int) -> None:
        self._request = compiled.create_infer_request()
        self._found = self._request.get_output_tensor(output).data
        with torch.inference_mode(mode=False):  # calls in any mode may write to its memory
            pixels = torch.from_numpy(self._request.get_input_tensor().data)
        self._size = len(pixels)
        self._single = pixels.permute(0, 3, 1, 2) if self._size == 1 else None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Embeddings (N, D) of float32 (N, C, H, W), at most as many as the model takes at once."""
        if self._single is not None:
            self._single.copy_(inputs)
        else:
            from openvino import Tensor as OpenVinoTensor

            # Read where they lie: to copy a batch costs up to 9 % of the time.
            pixels = self._filled(inputs)
            self._request.set_input_tensor(OpenVinoTensor(pixels.numpy(), shared_memory=True))
        self._request.infer({}, share_inputs=True, share_outputs=True)
        return torch.from_numpy(np.array(self._found[: len(inputs)], np.float32))

    def _filled(self, inputs: Tensor) -> Tensor:
        """A batch of the model's size (N, H, W, C), which is not copied where it is one already."""
        pixels = inputs.permute(0, 2, 3, 1).contiguous()
        missing = self._size - len(inputs)
        return F.pad(pixels, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else pixels


def precision_property(core: Any, dtype: str) -> dict[str, Any]:
    """Property for a model that computes in ``dtype`` what is not in 8 bits.

    Args:
        core: ``openvino.Core``.
        dtype: ``float32`` or ``bfloat16``.

    Raises:
        UsageError: OpenVINO cannot, or not on this processor.
    """
    if dtype not in _HINTS:
        shown = f"dtype={dtype!r}"
        raise UsageError(f"{shown}: OpenVINO computes in {' or '.join(_HINTS)}", shown)
    if dtype == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UsageError("this processor has no bfloat16; leave dtype out", "dtype")
    return {"INFERENCE_PRECISION_HINT": _HINTS[dtype]}


def _split_prelu(model: Any) -> None:
    """Write PReLU as ``max(x, 0) + a min(x, 0)``.

    OpenVINO appends PReLU to the convolution before it, and takes longer for it there than for
    these steps: MobileFaceNet gives up to 40 % more faces a second so.
    """
    from openvino import opset13 as operations

    for step in model.get_ops():
        if step.get_type_name() != "PRelu":
            continue
        x = step.input_value(0)
        slopes = _constant(step.input_value(1).get_node())
        shape = x.get_partial_shape()
        if slopes is None or shape.rank.is_dynamic or shape[1].is_dynamic:
            continue
        if not _is_per_channel(slopes, len(shape), shape[1].get_length()):
            continue
        ones = [1] * (len(shape) - 2)
        zero = operations.constant(np.zeros([1, 1, *ones], np.float32))
        factors = operations.constant(slopes.reshape(1, -1, *ones))
        scaled = operations.multiply(operations.minimum(x, zero), factors)
        result = operations.add(operations.maximum(x, zero), scaled)
        result.set_friendly_name(step.get_friendly_name())
        step.output(0).replace(result.output(0))


def _is_per_channel(slopes: NDArray[np.float32], rank: int, channels: int) -> bool:
    """Whether there is one slope, or one for each channel; a list of them is for channels."""
    along = slopes.size if slopes.ndim == 1 else ([1] * (rank - slopes.ndim) + [*slopes.shape])[1]
    return slopes.size == 1 or slopes.size == along == channels


def _constant(node: Any) -> NDArray[np.float32] | None:
    """What a node is always, in float32; weights may be stored as float16 or bfloat16."""
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    # Its ``data`` are of bfloat16 the bits, as float16.
    return node.get_data(dtype=np.float32) if node.get_type_name() == "Constant" else None


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
