"""The shapes of all values of an ONNX graph, known while it is read.

The batch has the symbolic length ``BATCH``, a number no other length is a multiple of; so lengths
that grow with the batch can be told from others, and calculated with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from facetool.errors import WeightsError, one_line
from facetool.networks.graph import FUNCTIONS, INPUT, MODULES
from facetool.weights.readers.lowering import Array, GraphBuilder

BATCH = 1_000_003  # a prime
Shape = tuple[int, ...]


class ShapeBuilder(GraphBuilder):
    """Keeps the shape of every value, found by running each step on a batch of no faces.

    Args:
        path: the file being read, for messages.
        shape: of the input, the batch first.
    """

    def __init__(self, path: Path, shape: Shape) -> None:
        super().__init__(path)
        self.shapes: dict[str, Shape] = {INPUT: shape}

    def add(
        self,
        name: str,
        op: str,
        inputs: Sequence[str],
        tensors: Mapping[str, Array] | None = None,
        **attributes: Any,
    ) -> str:
        """Append a node."""
        added = super().add(name, op, inputs, tensors, **attributes)
        shapes = [self.shapes[value] for value in inputs]
        empty = [torch.empty([0 if n % BATCH == 0 else n for n in shape]) for shape in shapes]
        own = {key: self.tensors[f"{added}.{key}"] for key in tensors or {}}
        lengths = {n for shape in shapes for n in shape if n % BATCH == 0}
        result = _run(op, attributes, own, empty)
        if len(lengths) != 1 and 0 in result:
            raise WeightsError("mixes values of different batches")
        self.shapes[added] = tuple(n or next(iter(lengths)) for n in result)
        return added


@torch.no_grad()
def _run(
    op: str,
    attributes: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    inputs: Sequence[torch.Tensor],
) -> Shape:
    """The shape of what a step gives."""
    try:
        if op not in MODULES:
            return tuple(FUNCTIONS[op](*inputs, **attributes).shape)
        with torch.device("meta"):
            module = MODULES[op](**attributes).eval()
        state = dict(tensors)
        for name in module.state_dict():
            if name.endswith("num_batches_tracked"):
                state[name] = torch.zeros((), dtype=torch.int64)
        module.load_state_dict(state, assign=True)
        return tuple(module(*inputs).shape)
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(one_line(error, 150)) from None


def channels_last(lengths: Sequence[int]) -> bool:
    """Whether an input's declared lengths are (N, H, W, C)."""
    return len(lengths) == 4 and lengths[3] in (1, 3) and lengths[1] not in (1, 3)
