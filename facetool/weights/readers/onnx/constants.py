"""What of an ONNX graph is calculated while it is read: shapes, and all that is made of constants.

To add an operation, add it to ``FOLDED``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from facetool.errors import WeightsError
from facetool.weights.readers.lowering import Array
from facetool.weights.readers.onnx.node import OnnxNode
from facetool.weights.readers.onnx.shapes import BATCH

if TYPE_CHECKING:
    from facetool.weights.readers.onnx.reader import GraphReader

LARGEST_CONSTANT = 1 << 22  # numbers

FoldRule = Callable[..., Array]
"""From the reader, the node and its inputs."""


def _reshape(
    reader: GraphReader, node: OnnxNode, array: Array, shape: Array | None = None
) -> Array:
    lengths = node.integers("shape") if shape is None else [int(n) for n in shape.ravel()[:8]]
    kept = [length or array.shape[axis] for axis, length in enumerate(lengths)]
    return array.reshape(kept)


def _slice(reader: GraphReader, node: OnnxNode, array: Array, *more: Array) -> Array:
    for axis, part in slices(reader, node):
        array = array[(slice(None),) * axis + (part,)]
    return array


def slices(reader: GraphReader, node: OnnxNode) -> list[tuple[int, slice]]:
    """Axis and part of each cut that a ``Slice`` makes, as NumPy writes them.

    Raises:
        WeightsError: they depend on the photo.
    """
    starts, ends = reader.integers(node, "starts", 1), reader.integers(node, "ends", 2)
    if starts is None or ends is None:
        raise WeightsError("a cut that depends on the photo")
    axes = reader.integers(node, "axes", 3) or list(range(len(starts)))
    steps = reader.integers(node, "steps", 4) or [1] * len(starts)
    lengths = reader.shape(node)
    found = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= len(lengths)
        # Bounds before the first place mean "up to and with it" where the way is backwards.
        stop: int | None = end if end >= -lengths[axis] else None if step < 0 else 0
        found.append((axis, slice(start, stop, step)))
    return found


def _unsqueeze(reader: GraphReader, node: OnnxNode, array: Array, *more: Array) -> Array:
    axes = reader.integers(node, "axes", 1) or []
    return np.expand_dims(array, tuple(axes))


def _squeeze(reader: GraphReader, node: OnnxNode, array: Array, *more: Array) -> Array:
    axes = reader.integers(node, "axes", 1)
    return np.squeeze(array, None if axes is None else tuple(axes))


def _transpose(reader: GraphReader, node: OnnxNode, array: Array) -> Array:
    return np.transpose(array, node.integers("perm", range(array.ndim)[::-1]))


def _cast(reader: GraphReader, node: OnnxNode, array: Array) -> Array:
    kinds: dict[int, type] = {6: np.int64, 7: np.int64, 9: np.bool_}
    return array.astype(kinds.get(node.integer("to", 1), np.float32))


def _expand(reader: GraphReader, node: OnnxNode, array: Array, shape: Array) -> Array:
    target = [int(length) for length in shape.ravel()[:8]]
    if BATCH in target[:1] and (array.ndim < len(target) or array.shape[0] == 1):
        target[0] = 1  # the same for every face
    lengths = np.broadcast_shapes(array.shape, tuple(target))
    _check_size(lengths)
    return np.broadcast_to(array, lengths)


def _fill(reader: GraphReader, node: OnnxNode, shape: Array) -> Array:
    lengths = [int(length) for length in shape.ravel()[:8]]
    _check_size(lengths)
    value = node.tensor("value") if node.has("value") else np.zeros(1)
    return np.full(lengths, value.ravel()[0])


def _range(reader: GraphReader, node: OnnxNode, start: Array, limit: Array, step: Array) -> Array:
    _check_size([math.ceil((limit.item() - start.item()) / step.item())])
    return np.arange(start.item(), limit.item(), step.item())


def _check_size(lengths: Sequence[int]) -> None:
    if min(lengths, default=0) < 0 or math.prod(lengths) > LARGEST_CONSTANT:
        raise WeightsError("a constant that is too large")


def _elementwise(function: Callable[..., Array]) -> FoldRule:
    def fold(reader: GraphReader, node: OnnxNode, *arrays: Array) -> Array:
        _check_size(np.broadcast_shapes(*(array.shape for array in arrays)))
        return function(*arrays)

    return fold


def _divide(left: Array, right: Array) -> Array:
    if left.dtype.kind in "iu" and right.dtype.kind in "iu":
        return np.asarray(np.trunc(left / right), np.int64)
    return np.asarray(left / right)


FOLDED: dict[str, FoldRule] = {
    "Add": _elementwise(np.add),
    "Cast": _cast,
    "Concat": lambda reader, node, *arrays: np.concatenate(arrays, node.integer("axis", 0)),
    "ConstantOfShape": _fill,
    "Div": _elementwise(_divide),
    "Equal": _elementwise(np.equal),
    "Expand": _expand,
    "Gather": lambda reader, node, array, at: np.take(array, at, axis=node.integer("axis", 0)),
    "Identity": lambda reader, node, array: array,
    "Mod": _elementwise(np.mod),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Not": _elementwise(np.logical_not),
    "Range": _range,
    "Reshape": _reshape,
    "Slice": _slice,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _elementwise(np.where),
}
"""Operations on known values, by ONNX's name."""
