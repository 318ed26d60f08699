"""Listens to the functions that a network calls, and writes them down as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import Tensor
from torch.overrides import TorchFunctionMode

from facetool.errors import WeightsError

ONNX_INPUT = "data"
RECORDED_BATCH = 7919  # a prime that no other length is a multiple of: no handler may write it down

Handler = Callable[..., str]


class OnnxRecorder(TorchFunctionMode):
    """Turns calls into nodes.

    Args:
        weights: of the network, by name.
        shapes: the tensors that stand for them in the pass.
        x: the tensor that stands for the input.
        handlers: what writes a function, by its name without underscores; each is told the
            recorder, what the function returned and its arguments, and says which node that is.
        lrn_operator: see :func:`facetool.weights.onnx_export.to_onnx`.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        shapes: Mapping[str, Tensor],
        x: Tensor,
        handlers: Mapping[str, Handler],
        lrn_operator: bool,
    ) -> None:
        super().__init__()
        self.lrn_operator = lrn_operator
        self._handlers = handlers
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self._weights = weights
        self._names = {id(x): ONNX_INPUT}
        self._weight_names = {id(tensor): name for name, tensor in shapes.items()}
        self._alive: list[Any] = [x, *shapes.values()]  # so that no id is given twice
        self._count = 0
        self._inside: set[FunctionType] = set()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a function and write down what it did."""
        kwargs = kwargs or {}
        name = func.__name__.strip("_")
        handler = self._handlers.get(name) or self._handlers.get(name.removeprefix("i"))
        if handler is None and isinstance(func, FunctionType) and func not in self._inside:
            self._inside.add(func)
            try:
                with self:  # not known itself, but made of functions that may be
                    return func(*args, **kwargs)
            finally:
                self._inside.discard(func)
        out = func(*args, **kwargs)
        if handler is not None:
            self._alive.append(out)
            result = handler(self, out, *args, **kwargs)
            self._names[id(args[0] if out is None else out)] = result
        elif isinstance(out, Tensor) and id(out) not in self._names:
            raise WeightsError(f"cannot write {func.__name__}() as ONNX")
        return out

    def name(self, value: Tensor | float) -> str:
        """The name of a tensor; weights and numbers get theirs on first use."""
        if not isinstance(value, Tensor):
            return self.constant(np.float32(value))
        key = id(value)
        if key not in self._names:
            weight = self._weight_names[key]
            self._add_initialiser(self._weights[weight].detach().cpu().float().numpy(), weight)
            self._names[key] = weight
        return self._names[key]

    def array(self, value: Tensor) -> np.ndarray[Any, Any]:
        """The numbers of a weight."""
        array: np.ndarray[Any, Any] = self._weights[self._weight_names[id(value)]].cpu().numpy()
        return array

    def constant(self, value: Any) -> str:
        """A new constant, of the type that numpy gives it."""
        return self._add_initialiser(np.asarray(value), self._fresh("constant"))

    def emit(self, op: str, inputs: Sequence[str], result: str = "", **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        result = result or self._fresh(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [result], name=result, **attributes))
        return result

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    def _add_initialiser(self, array: np.ndarray[Any, Any], name: str) -> str:
        self.initialisers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name
