"""Any ONNX graph of common operations, each with the meaning the ONNX standard gives it.

:mod:`facetool.weights.readers.onnx` knows convolutional networks as their exporters write them,
mistakes included. What it does not take comes here: transformers, shapes that are calculated on
the way, normalisation of the result, inputs with the channels last. The shape of every value is
known while the graph is read, so all that depends on shapes and constants alone is calculated then,
and what remains is as plain as the network.

The batch has the symbolic length ``BATCH``, a number no other length is a multiple of; so lengths
that grow with the batch can be told from others, and calculated with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from facetool.errors import WeightsError
from facetool.networks.graph import FUNCTIONS, INPUT, MODULES, GraphNetwork, build_graph
from facetool.weights.readers.lowering import Array, GraphBuilder, small_integer
from facetool.weights.readers.onnx_file import Tensor, small_array
from facetool.weights.shapes import embedding_size

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

BATCH = 1_000_003  # a prime
_LARGEST_CONSTANT = 1 << 22  # numbers in what is calculated from constants
_FLOAT_TYPES = (1, 10, 11, 16)  # float, float16, double, bfloat16

_MISFITS = (
    *(ArithmeticError, AttributeError, IndexError, KeyError, MemoryError),
    *(TypeError, ValueError, WeightsError),
)
"""What a node raises that does not fit its inputs."""

Shape = tuple[int, ...]


class _Builder(GraphBuilder):
    """Keeps the shape of every value, found by running each step on a batch of no faces."""

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
        raise WeightsError(" ".join(str(error).split())[:150]) from None


class _Node:
    """A node with its attributes by name."""

    def __init__(self, proto: NodeProto) -> None:
        from onnx.helper import get_attribute_value

        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}:"
        self.op = f"{domain}{proto.op_type}"
        self.inputs = list(proto.input)
        self.outputs = list(proto.output)
        self.name = self.outputs[0] if self.outputs else proto.name
        self.attributes = {one.name: get_attribute_value(one) for one in proto.attribute}

    def integer(self, key: str, default: int) -> int:
        """A whole number."""
        return small_integer(self.attributes.get(key, default))

    def integers(self, key: str, default: Sequence[int] | None = None) -> list[int]:
        """Several whole numbers."""
        values = self.attributes.get(key, default)
        if values is None:
            raise WeightsError(f"has no {key}")
        return [small_integer(value) for value in values]

    def number(self, key: str, default: float) -> float:
        """A number, as the shortest decimal that is this float32."""
        return float(str(np.float32(self.attributes.get(key, default))))

    def text(self, key: str, default: str) -> str:
        """A word."""
        value = self.attributes.get(key, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def lower(
    path: Path,
    graph: GraphProto,
    tensors: Mapping[str, Tensor],
    output: str,
    shape: tuple[int, int, int],
    opset: int,
) -> GraphNetwork:
    """Read a graph for inputs of one size.

    Args:
        path: the file, for messages.
        graph: its description.
        tensors: its initialisers.
        output: name of the value that is the embedding.
        shape: (C, H, W) of the input of the network that is made, whatever order the file has.
        opset: version of the standard.

    Raises:
        WeightsError: an operation is not supported, or does not fit.
    """
    return _Reader(path, graph, tensors, shape, opset).network(output)


class _Reader:
    """Lowers the nodes that an output depends on; every value is a node's or a known array."""

    def __init__(
        self,
        path: Path,
        graph: GraphProto,
        tensors: Mapping[str, Tensor],
        shape: tuple[int, int, int],
        opset: int,
    ) -> None:
        self.opset = opset
        self._tensors = tensors
        self._constants: dict[str, Array] = {}
        self._nodes = [_Node(proto) for proto in graph.node]
        self.builder = _Builder(path, (BATCH, *shape))
        inputs = [value for value in graph.input if value.name not in tensors]
        if len(inputs) != 1:
            raise WeightsError(f"has {len(inputs)} inputs; a face network has one")
        lengths = [axis.dim_value for axis in inputs[0].type.tensor_type.shape.dim]
        self.for_one = lengths[:1] == [1]  # the file is for one face at a time
        self._values = {inputs[0].name: INPUT}
        if channels_last(lengths):
            self._values[inputs[0].name] = self.builder.add(
                "channels_last", "permute", [INPUT], dims=[0, 2, 3, 1]
            )
        self._shape = shape

    def network(self, output: str) -> GraphNetwork:
        """Everything up to an output."""
        wanted, needed = {output}, []
        for node in reversed(self._nodes):
            if not wanted.isdisjoint(node.outputs):
                wanted.update(node.inputs)
                needed.append(node)
        for node in needed[::-1]:
            try:
                self._lower(node)
            except _MISFITS as error:
                reason = " ".join(str(error).split())[:200]
                raise WeightsError(f"node {node.name!r} ({node.op}): {reason}") from None
        if output not in self._values:
            raise WeightsError(f"the output {output!r} is made by no layer")
        value = self._values[output]
        if value != self.builder.nodes[-1].name:
            self.builder.add("output", "identity", [value])
        network = build_graph(self.builder.nodes, self.builder.tensors)
        size = embedding_size(network, self._shape)
        network.info = replace(network.info, embedding_size=size)
        return network

    def _lower(self, node: _Node) -> None:
        if node.op == "Constant":
            self._constants[node.name] = _constant_of(node)
        elif node.op == "Shape":
            shape = np.array(self.shape(node), np.int64)
            start, end = node.integer("start", 0), node.attributes.get("end")
            self._constants[node.name] = shape[start:end]
        elif node.op in _FOLDED and all(self.known(name) for name in node.inputs if name):
            arrays = [self.array(node, index) for index in range(len(node.inputs))]
            result = np.asarray(_FOLDED[node.op](self, node, *arrays))
            if result.size > max(_LARGEST_CONSTANT, *(array.size for array in arrays)):
                raise WeightsError("a constant that is too large")
            self._constants[node.name] = result
        elif node.op == "Split":
            _split(self, node)
        elif node.op in _OPERATORS:
            self._values[node.name] = _OPERATORS[node.op](self, node)
        else:
            raise WeightsError("unsupported kind of node")

    def name_value(self, name: str, value: str) -> None:
        """Let one of the file's names stand for a node of the graph being built."""
        self._values[name] = value

    def known(self, name: str) -> bool:
        """Whether a value does not depend on the input."""
        return name in self._constants or name in self._tensors

    def array(self, node: _Node, index: int) -> Array:
        """A known input."""
        found = self.optional(node, index)
        if found is None:
            raise WeightsError(f"input {index} is missing or depends on the face")
        return found

    def optional(self, node: _Node, index: int) -> Array | None:
        """A known input, or None where there is none."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name in self._constants:
            return self._constants[name]
        return self._tensors[name].array() if name in self._tensors else None

    def data(self, node: _Node, index: int = 0) -> str:
        """The graph's name for an input; a known one becomes a node."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self._values:
            array = self.array(node, index)
            shape = list(array.shape)
            self._values[name] = self.builder.add(
                f"{name}_constant", "constant", [INPUT], {"weight": array}, shape=shape
            )
        return self._values[name]

    def shape(self, node: _Node, index: int = 0) -> Shape:
        """The shape of an input."""
        if self.known(node.inputs[index]):
            return tuple(self.array(node, index).shape)
        return self.builder.shapes[self.data(node, index)]

    def axis(self, node: _Node, default: int) -> int:
        """The attribute ``axis``, counted from the front."""
        rank = len(self.shape(node))
        axis = node.integer("axis", default)
        if not -rank <= axis < rank:
            raise WeightsError(f"axis {axis} of {rank}")
        return axis % rank

    def integers(self, node: _Node, key: str, index: int) -> list[int] | None:
        """Whole numbers that are an attribute in older files and an input in newer ones."""
        array = self.optional(node, index)
        if array is not None:
            return [int(value) for value in array.ravel()[:16]]
        return node.integers(key) if key in node.attributes else None

    def reshaped(self, node: _Node, shape: Sequence[int]) -> str:
        """An input in another shape, which may be longer where the batch is."""
        x = self.data(node)
        grown = [axis for axis, length in enumerate(shape) if length % BATCH == 0]
        if math.prod(shape) != math.prod(self.builder.shapes[x]) or len(grown) > 1:
            raise WeightsError(f"does not fit {len(shape)} axes")
        if list(shape[:1]) == [BATCH] and self.builder.shapes[x][0] == BATCH:
            return self.builder.add(node.name, "reshape", [x], shape=list(shape[1:]))
        lengths = [-1 if length % BATCH == 0 else length for length in shape]
        added = self.builder.add(node.name, "view", [x], shape=lengths)
        self.builder.shapes[added] = tuple(shape)  # several of the batch's lengths, maybe
        return added

    def whole(self, shape: Sequence[int]) -> list[int]:
        """A shape of the file's, whose first length 1 may be meant for the batch."""
        lengths = [int(length) for length in shape]
        if self.for_one and lengths[:1] == [1]:
            lengths[0] = BATCH
        return lengths


def channels_last(lengths: Sequence[int]) -> bool:
    """Whether an input's declared lengths are (N, H, W, C)."""
    return len(lengths) == 4 and lengths[3] in (1, 3) and lengths[1] not in (1, 3)


def _constant_of(node: _Node) -> Array:
    for key in ("value_float", "value_floats"):
        if key in node.attributes:
            return np.array(node.attributes[key], np.float32)
    for key in ("value_int", "value_ints"):
        if key in node.attributes:
            return np.array(node.attributes[key], np.int64)
    if "value" not in node.attributes:
        raise WeightsError("has no value")
    return small_array(node.attributes["value"])


# What is calculated while the graph is read.


def _fold_reshape(reader: _Reader, node: _Node, array: Array, shape: Array | None = None) -> Array:
    lengths = node.integers("shape") if shape is None else [int(n) for n in shape.ravel()[:8]]
    kept = [length or array.shape[axis] for axis, length in enumerate(lengths)]
    return array.reshape(kept)


def _fold_slice(reader: _Reader, node: _Node, array: Array, *more: Array) -> Array:
    for axis, part in _slices(reader, node, array.ndim):
        array = array[(slice(None),) * axis + (part,)]
    return array


def _fold_unsqueeze(reader: _Reader, node: _Node, array: Array, *more: Array) -> Array:
    axes = reader.integers(node, "axes", 1) or []
    return np.expand_dims(array, tuple(axes))


def _fold_squeeze(reader: _Reader, node: _Node, array: Array, *more: Array) -> Array:
    axes = reader.integers(node, "axes", 1)
    return np.squeeze(array, None if axes is None else tuple(axes))


def _fold_cast(reader: _Reader, node: _Node, array: Array) -> Array:
    kinds: dict[int, type] = {6: np.int64, 7: np.int64, 9: np.bool_}
    return array.astype(kinds.get(node.integer("to", 1), np.float32))


def _fold_expand(reader: _Reader, node: _Node, array: Array, shape: Array) -> Array:
    target = [int(length) for length in shape.ravel()[:8]]
    if BATCH in target[:1] and (array.ndim < len(target) or array.shape[0] == 1):
        target[0] = 1  # the same for every face
    lengths = np.broadcast_shapes(array.shape, tuple(target))
    _check_size(lengths)
    return np.broadcast_to(array, lengths)


def _fold_fill(reader: _Reader, node: _Node, shape: Array) -> Array:
    lengths = [int(length) for length in shape.ravel()[:8]]
    _check_size(lengths)
    value = small_array(node.attributes["value"]) if "value" in node.attributes else np.zeros(1)
    return np.full(lengths, value.ravel()[0])


def _fold_range(reader: _Reader, node: _Node, start: Array, limit: Array, step: Array) -> Array:
    _check_size([math.ceil((limit.item() - start.item()) / step.item())])
    return np.arange(start.item(), limit.item(), step.item())


def _check_size(lengths: Sequence[int]) -> None:
    if min(lengths, default=0) < 0 or math.prod(lengths) > _LARGEST_CONSTANT:
        raise WeightsError("a constant that is too large")


def _plain_fold(function: Callable[..., Array]) -> Callable[..., Array]:
    def fold(reader: _Reader, node: _Node, *arrays: Array) -> Array:
        _check_size(np.broadcast_shapes(*(array.shape for array in arrays)))
        return function(*arrays)

    return fold


def _fold_divide(left: Array, right: Array) -> Array:
    if left.dtype.kind in "iu" and right.dtype.kind in "iu":
        return np.asarray(np.trunc(left / right), np.int64)
    return np.asarray(left / right)


_FOLDED: dict[str, Callable[..., Array]] = {
    "Add": _plain_fold(np.add),
    "Cast": _fold_cast,
    "Concat": lambda reader, node, *arrays: np.concatenate(arrays, node.integer("axis", 0)),
    "ConstantOfShape": _fold_fill,
    "Div": _plain_fold(_fold_divide),
    "Equal": _plain_fold(np.equal),
    "Expand": _fold_expand,
    "Gather": lambda reader, node, array, at: np.take(array, at, axis=node.integer("axis", 0)),
    "Identity": lambda reader, node, array: array,
    "Mod": _plain_fold(np.mod),
    "Mul": _plain_fold(np.multiply),
    "Neg": _plain_fold(np.negative),
    "Not": _plain_fold(np.logical_not),
    "Range": _fold_range,
    "Reshape": _fold_reshape,
    "Slice": _fold_slice,
    "Sqrt": _plain_fold(np.sqrt),
    "Squeeze": _fold_squeeze,
    "Sub": _plain_fold(np.subtract),
    "Transpose": lambda reader, node, array: np.transpose(array, node.attributes.get("perm")),
    "Unsqueeze": _fold_unsqueeze,
    "Where": _plain_fold(np.where),
}

# What is done with a face.


def _plain(op: str, **attributes: Any) -> _Operator:
    def lower_plain(reader: _Reader, node: _Node) -> str:
        return reader.builder.add(node.name, op, [reader.data(node)], **attributes)

    return lower_plain


def _cast(reader: _Reader, node: _Node) -> str:
    if node.integer("to", 1) not in _FLOAT_TYPES:
        raise WeightsError("turns numbers into whole ones")
    return reader.builder.add(node.name, "identity", [reader.data(node)])


def _number(reader: _Reader, node: _Node, index: int) -> float | None:
    """An input that is one known number."""
    array = reader.optional(node, index)
    return float(array.item()) if array is not None and array.size == 1 else None


def _binary(op: str) -> _Operator:
    """Of two values; with a known number in the forms that other readers make too."""

    def lower_binary(reader: _Reader, node: _Node) -> str:
        left, right = _number(reader, node, 0), _number(reader, node, 1)
        builder, name = reader.builder, node.name
        rank = len(reader.shape(node, 0 if right is not None else 1))
        other = reader.optional(node, 1 if right is not None else 0)
        plain = other is not None and other.ndim <= rank
        if plain and right is not None and op in ("add", "sub"):
            value = right if op == "add" else -right
            return builder.add(name, "add_scalar", [reader.data(node)], value=value)
        if plain and right and op in ("mul", "div"):
            value = right if op == "mul" else 1 / right
            return builder.add(name, "mul_scalar", [reader.data(node)], value=value)
        if plain and left is not None and op in ("add", "mul"):
            return builder.add(name, f"{op}_scalar", [reader.data(node, 1)], value=left)
        return builder.add(name, op, [reader.data(node), reader.data(node, 1)])

    return lower_binary


def _power(reader: _Reader, node: _Node) -> str:
    exponent = _number(reader, node, 1)
    if exponent == 2:
        return reader.builder.add(node.name, "square", [reader.data(node)])
    if exponent == 0.5:
        return reader.builder.add(node.name, "sqrt", [reader.data(node)])
    raise WeightsError("only squares and square roots are supported")


def _conv(reader: _Reader, node: _Node) -> str:
    weight = reader.array(node, 1)
    return reader.builder.conv(
        node.name,
        reader.data(node),
        weight,
        reader.optional(node, 2),
        stride=node.integers("strides", (1, 1)),
        padding=_padding(node),
        dilation=node.integers("dilations", (1, 1)),
        groups=node.integer("group", 1),
    )


def _padding(node: _Node) -> list[int]:
    """Rows and columns added on each side."""
    pads = node.integers("pads", (0, 0, 0, 0))
    if node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or pads[:2] != pads[2:]:
        raise WeightsError(f"unsupported padding {pads}")
    return pads[:2]


def _batch_norm(reader: _Reader, node: _Node) -> str:
    gamma, beta, mean, variance = (reader.array(node, index) for index in range(1, 5))
    if gamma.ndim != 1:
        raise WeightsError("normalises places, not channels")
    return reader.builder.batch_norm(
        node.name,
        reader.data(node),
        gamma,
        beta,
        mean,
        variance,
        eps=node.number("epsilon", 1e-5),
        momentum=node.number("momentum", 0.9),
    )


def _layer_norm(reader: _Reader, node: _Node) -> str:
    axis = reader.axis(node, -1)
    weight, bias = reader.array(node, 1), reader.optional(node, 2)
    shape = list(reader.shape(node)[axis:])
    return reader.builder.add(
        node.name,
        "layer_norm",
        [reader.data(node)],
        {"weight": weight, "bias": np.zeros_like(weight) if bias is None else bias},
        normalized_shape=shape,
        eps=node.number("epsilon", 1e-5),
    )


def _prelu(reader: _Reader, node: _Node) -> str:
    slope = reader.array(node, 1)
    rank = len(reader.shape(node))
    full = (1,) * (rank - slope.ndim) + slope.shape
    if slope.size != 1 and any(n != 1 for axis, n in enumerate(full) if axis != 1):
        raise WeightsError(f"slopes of shape {slope.shape}, which is not one per channel")
    return reader.builder.prelu(node.name, reader.data(node), slope)


def _gemm(reader: _Reader, node: _Node) -> str:
    factors = node.number("alpha", 1), node.number("beta", 1)
    if node.integer("transA", 0) or factors != (1, 1) or len(reader.shape(node)) != 2:
        raise WeightsError("unsupported transA, alpha, beta or rank")
    weight, bias = reader.array(node, 1), reader.optional(node, 2)
    if not node.integer("transB", 0):
        weight = weight.T
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), weight.shape[:1])
    return reader.builder.linear(node.name, reader.data(node), weight, bias)


def _matmul(reader: _Reader, node: _Node) -> str:
    weight = reader.optional(node, 1)
    if weight is not None and weight.ndim == 2 and not reader.known(node.inputs[0]):
        return reader.builder.linear(node.name, reader.data(node), weight.T, None)
    return reader.builder.add(node.name, "matmul", [reader.data(node), reader.data(node, 1)])


def _flatten(reader: _Reader, node: _Node) -> str:
    shape = reader.shape(node)
    axis = node.integer("axis", 1)
    axis += len(shape) if axis < 0 else 0
    return reader.reshaped(node, [math.prod(shape[:axis]), math.prod(shape[axis:])])


def _reshape(reader: _Reader, node: _Node) -> str:
    shape = reader.shape(node)
    given = reader.integers(node, "shape", 1)
    if given is None:
        raise WeightsError("a shape that depends on the face")
    keep_zero = node.integer("allowzero", 0)
    lengths = [
        shape[axis] if length == 0 and not keep_zero else length
        for axis, length in enumerate(reader.whole(given))
    ]
    if lengths.count(-1) == 1:
        rest = math.prod(length for length in lengths if length != -1)
        total = math.prod(shape)
        if not rest or total % rest:
            raise WeightsError(f"unsupported shape {given}")
        lengths[lengths.index(-1)] = total // rest
    return reader.reshaped(node, lengths)


def _squeeze(reader: _Reader, node: _Node) -> str:
    shape = reader.shape(node)
    given = reader.integers(node, "axes", 1)
    axes = (
        {axis % len(shape) for axis in given}
        if given
        else {axis for axis, length in enumerate(shape) if length == 1}
    )
    return reader.reshaped(node, [n for axis, n in enumerate(shape) if axis not in axes])


def _unsqueeze(reader: _Reader, node: _Node) -> str:
    shape = list(reader.shape(node))
    given = reader.integers(node, "axes", 1) or []
    rank = len(shape) + len(given)
    for axis in sorted(axis % rank for axis in given):
        shape.insert(axis, 1)
    return reader.reshaped(node, shape)


def _transpose(reader: _Reader, node: _Node) -> str:
    rank = len(reader.shape(node))
    dims = node.integers("perm", range(rank)[::-1])
    return reader.builder.add(node.name, "permute", [reader.data(node)], dims=dims)


def _slices(reader: _Reader, node: _Node, rank: int) -> list[tuple[int, slice]]:
    """Axis and part of each cut, as NumPy writes them."""
    starts, ends = reader.integers(node, "starts", 1), reader.integers(node, "ends", 2)
    if starts is None or ends is None:
        raise WeightsError("a cut that depends on the face")
    axes = reader.integers(node, "axes", 3) or list(range(len(starts)))
    steps = reader.integers(node, "steps", 4) or [1] * len(starts)
    lengths = reader.shape(node)
    found = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= rank
        length = lengths[axis]
        # Bounds before the first place mean "up to and with it" where the way is backwards.
        stop: int | None = end if end >= -length else None if step < 0 else 0
        found.append((axis, slice(start, stop, step)))
    return found


def _slice(reader: _Reader, node: _Node) -> str:
    x = reader.data(node)
    for axis, part in _slices(reader, node, len(reader.shape(node))):
        length = reader.builder.shapes[x][axis]
        places = range(length)[part]
        if places == range(length):
            continue
        if length % BATCH == 0 or not places:
            raise WeightsError("cuts the batch, or leaves nothing")
        x = _picked(reader, node.name, x, axis, places)
    return reader.builder.add(node.name, "identity", [x])


def _picked(reader: _Reader, name: str, x: str, axis: int, places: range) -> str:
    """Places of an axis in any order."""
    if places.step < 0:
        length = reader.builder.shapes[x][axis]
        x = reader.builder.add(name, "flip", [x], dim=axis)
        places = range(length - 1 - places[0], length - places[-1], -places.step)
    start, stop, step = places.start, places[-1] + 1, places.step
    return reader.builder.add(name, "slice", [x], dim=axis, start=start, stop=stop, step=step)


def _gather(reader: _Reader, node: _Node) -> str:
    places = reader.array(node, 1)
    axis = reader.axis(node, 0)
    length = reader.shape(node)[axis]
    if length % BATCH == 0:
        if reader.for_one and places.size == 1:  # the one face of a file that is for one
            return reader.builder.add(node.name, "identity", [reader.data(node)])
        raise WeightsError("picks faces out of the batch")
    wanted = [int(place) % length for place in places.ravel()[:4096]]
    if places.ndim == 0:
        return reader.builder.add(
            node.name, "select", [reader.data(node)], dim=axis, index=wanted[0]
        )
    if places.ndim != 1 or len(wanted) != places.size:
        raise WeightsError("picks in more than one direction")
    return reader.builder.add(node.name, "pick", [reader.data(node)], dim=axis, places=wanted)


def _split(reader: _Reader, node: _Node) -> None:
    axis = reader.axis(node, 0)
    length = reader.shape(node)[axis]
    count = len(node.outputs)
    sizes = reader.integers(node, "split", 1) or [-(-length // count)] * count
    start = 0
    for output, size in zip(node.outputs, sizes, strict=True):
        stop = min(start + size, length)
        value = reader.builder.add(
            output, "slice", [reader.data(node)], dim=axis, start=start, stop=stop, step=1
        )
        reader.name_value(output, value)
        start = stop


def _concat(reader: _Reader, node: _Node) -> str:
    first = next(index for index, name in enumerate(node.inputs) if not reader.known(name))
    rank = len(reader.shape(node, first))
    axis = node.integer("axis", 1) % rank
    values = []
    for index, name in enumerate(node.inputs):
        value = reader.data(node, index)
        if reader.known(name):  # the same for every face, such as a class token
            shape = [-1, *reader.builder.shapes[value][1:]]
            inputs = [value, reader.data(node, first)]
            value = reader.builder.add(f"{name}_faces", "per_face", inputs, shape=shape[1:])
        values.append(value)
    if axis == 1:
        return reader.builder.add(node.name, "concat", values)
    return reader.builder.add(node.name, "concat_along", values, dim=axis)


def _expand(reader: _Reader, node: _Node) -> str:
    target = reader.integers(node, "shape", 1)
    if target is None:
        raise WeightsError("a shape that depends on the face")
    shape = reader.shape(node)
    full = np.broadcast_shapes(
        tuple(1 if n % BATCH == 0 else n for n in shape),
        tuple(1 if n % BATCH == 0 else n for n in target),
    )
    if len(full) != len(shape):
        raise WeightsError("adds axes")
    lengths = [-1 if own % BATCH == 0 else n for own, n in zip(shape, full, strict=True)]
    return reader.builder.add(node.name, "expand", [reader.data(node)], shape=lengths)


def _softmax(reader: _Reader, node: _Node) -> str:
    axis = reader.axis(node, -1 if reader.opset >= 13 else 1)
    if reader.opset < 13 and axis != len(reader.shape(node)) - 1:
        raise WeightsError("over several axes")
    return reader.builder.add(node.name, "softmax", [reader.data(node)], dim=axis)


def _reduce(op: str) -> _Operator:
    def lower_reduce(reader: _Reader, node: _Node) -> str:
        rank = len(reader.shape(node))
        given = reader.integers(node, "axes", 1)
        axes = sorted(axis % rank for axis in given) if given else list(range(rank))
        if any(reader.shape(node)[axis] % BATCH == 0 for axis in axes):
            raise WeightsError("over the batch")
        keep = bool(node.integer("keepdims", 1))
        return reader.builder.add(node.name, op, [reader.data(node)], dim=axes, keepdim=keep)

    return lower_reduce


def _lp_normalization(reader: _Reader, node: _Node) -> str:
    if node.integer("p", 2) != 2:
        raise WeightsError("only p = 2 is supported")
    x, axis = reader.data(node), reader.axis(node, -1)
    length = reader.builder.add(f"{node.name}_length", "reduce_l2", [x], dim=[axis], keepdim=True)
    return reader.builder.add(node.name, "div", [x, length])


def _clip(reader: _Reader, node: _Node) -> str:
    bounds: list[float | None] = []
    for index, key in enumerate(("min", "max"), start=1):
        if len(node.inputs) > index and node.inputs[index]:
            bounds.append(float(reader.array(node, index).item()))
        else:
            bounds.append(node.number(key, 0) if key in node.attributes else None)
    if bounds == [None, None]:
        return reader.builder.add(node.name, "identity", [reader.data(node)])
    low, high = bounds
    return reader.builder.add(node.name, "clip", [reader.data(node)], min=low, max=high)


def _pool(op: str) -> _Operator:
    def lower_pool(reader: _Reader, node: _Node) -> str:
        if node.integers("dilations", (1, 1)) != [1, 1]:
            raise WeightsError("unsupported dilations")
        attributes: dict[str, Any] = {
            "kernel_size": node.integers("kernel_shape"),
            "stride": node.integers("strides", (1, 1)),
            "padding": _padding(node),
            "ceil_mode": bool(node.integer("ceil_mode", 0)),
        }
        if op == "avg_pool":
            attributes["count_include_pad"] = bool(node.integer("count_include_pad", 0))
        return reader.builder.add(node.name, op, [reader.data(node)], **attributes)

    return lower_pool


def _gelu(reader: _Reader, node: _Node) -> str:
    op = "gelu_tanh" if node.text("approximate", "none") == "tanh" else "gelu"
    return reader.builder.add(node.name, op, [reader.data(node)])


def _leaky_relu(reader: _Reader, node: _Node) -> str:
    slope = node.number("alpha", 0.01)
    return reader.builder.add(node.name, "leaky_relu", [reader.data(node)], negative_slope=slope)


_Operator = Callable[[_Reader, _Node], str]

_OPERATORS: dict[str, _Operator] = {
    "Abs": _plain("abs"),
    "Add": _binary("add"),
    "AveragePool": _pool("avg_pool"),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _binary("div"),
    "Dropout": _plain("identity"),
    "Erf": _plain("erf"),
    "Exp": _plain("exp"),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _plain("global_avg_pool"),
    "HardSwish": _plain("hard_swish"),
    "Identity": _plain("identity"),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "LpNormalization": _lp_normalization,
    "MatMul": _matmul,
    "Max": _binary("maximum"),
    "MaxPool": _pool("max_pool"),
    "Mul": _binary("mul"),
    "Neg": _plain("mul_scalar", value=-1.0),
    "PRelu": _prelu,
    "Pow": _power,
    "Reciprocal": _plain("reciprocal"),
    "ReduceL2": _reduce("reduce_l2"),
    "ReduceMean": _reduce("reduce_mean"),
    "ReduceSum": _reduce("reduce_sum"),
    "Relu": _plain("relu"),
    "Reshape": _reshape,
    "Sigmoid": _plain("sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Sqrt": _plain("sqrt"),
    "Squeeze": _squeeze,
    "Sub": _binary("sub"),
    "Tanh": _plain("tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
