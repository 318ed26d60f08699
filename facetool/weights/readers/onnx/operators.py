"""What an ONNX graph does with a face, each operation as one or two steps of facetool's graph.

An operation means what the ONNX standard says, but for what MXNet's exporters (1.3 to 1.9) write
and do not mean:

- ``BatchNormalization`` with ``spatial=0`` and one value per channel works per channel;
- PReLU slopes of shape (C,), (C, 1, 1) and (1, C, 1, 1) are one per channel;
- a fully connected layer (``Gemm``) flattens its input, whether or not ``Flatten`` stands before
  it, and ``Flatten`` with axis -1 means everything but the batch;
- a ``Reshape`` of that layer's result to the shape of its input but for the last axis, where the
  numbers do not fit, is none;
- a batch of a fixed length becomes any batch.

To add an operation, write how it is made of the steps in :mod:`facetool.networks.graph` and add it
to ``OPERATORS``; to ``SIZE_BOUND`` too, where the step it makes holds for one size of photo only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from facetool.errors import WeightsError
from facetool.weights.readers.lowering import Array
from facetool.weights.readers.onnx.constants import slices
from facetool.weights.readers.onnx.node import OnnxNode
from facetool.weights.readers.onnx.shapes import BATCH

if TYPE_CHECKING:
    from facetool.weights.readers.onnx.reader import GraphReader

_FLOAT_TYPES = (1, 10, 11, 16)  # float, float16, double, bfloat16
_MOST_PADDING = 4096  # pixels
_FACTORS = (1, 2, 4, 8)  # of enlargements

Operator = Callable[["GraphReader", OnnxNode], str]
"""Adds steps to ``reader.builder`` and returns the name of the one that is the result."""


def _plain(op: str, **attributes: Any) -> Operator:
    """One step of one input."""

    def read(reader: GraphReader, node: OnnxNode) -> str:
        return reader.builder.add(node.name, op, [reader.data(node)], **attributes)

    return read


def _cast(reader: GraphReader, node: OnnxNode) -> str:
    if node.integer("to", 1) not in _FLOAT_TYPES:  # all of which are float32 here
        raise WeightsError("turns numbers into whole ones")
    return reader.builder.add(node.name, "identity", [reader.data(node)])


def _dropout(reader: GraphReader, node: OnnxNode) -> str:
    ratio = reader.number(node, 1)
    p = node.number("ratio", 0.5) if ratio is None else float(str(np.float32(ratio)))
    return reader.builder.add(node.name, "dropout", [reader.data(node)], p=p)


# Layers with weights.


def _conv(reader: GraphReader, node: OnnxNode) -> str:
    weight = reader.array(node, 1)
    if node.integers("kernel_shape", weight.shape[2:]) != list(weight.shape[2:]):
        raise WeightsError(f"kernel_shape and a weight of shape {weight.shape}")
    return reader.builder.conv(
        node.name,
        reader.data(node),
        weight,
        reader.optional(node, 2),
        stride=node.pair("strides", (1, 1)),
        padding=node.padding(),
        dilation=node.pair("dilations", (1, 1)),
        groups=node.integer("group", 1),
    )


def _batch_norm(reader: GraphReader, node: OnnxNode) -> str:
    arrays = [reader.array(node, index) for index in range(1, 5)]
    if any(array.size != max(array.shape, default=0) for array in arrays):
        raise WeightsError("normalises places, not channels")
    gamma, beta, mean, variance = (array.reshape(-1) for array in arrays)
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


def _layer_norm(reader: GraphReader, node: OnnxNode) -> str:
    axis = reader.axis(node, -1)
    weight, bias = reader.array(node, 1), reader.optional(node, 2)
    return reader.builder.add(
        node.name,
        "layer_norm",
        [reader.data(node)],
        {"weight": weight, "bias": np.zeros_like(weight) if bias is None else bias},
        normalized_shape=list(reader.shape(node)[axis:]),
        eps=node.number("epsilon", 1e-5),
    )


def _prelu(reader: GraphReader, node: OnnxNode) -> str:
    slope = reader.array(node, 1)
    rank, shape = len(reader.shape(node)), slope.shape
    if rank in (2, 4):
        rest = shape[2:] if shape[:1] == (1,) and len(shape) in (2, 4) else shape[1:]
    else:
        rest = tuple(n for axis, n in enumerate(shape, rank - len(shape)) if axis != 1)
    if slope.size != 1 and any(length != 1 for length in rest):
        raise WeightsError(f"slopes of shape {shape}, which is not one per channel")
    return reader.builder.prelu(node.name, reader.data(node), slope)


def _gemm(reader: GraphReader, node: OnnxNode) -> str:
    if node.integer("transA", 0) or (node.number("alpha", 1), node.number("beta", 1)) != (1, 1):
        raise WeightsError("unsupported transA, alpha or beta")
    weight, bias = reader.array(node, 1), reader.optional(node, 2)
    if not node.integer("transB", 0):
        weight = weight.T
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), weight.shape[:1])
    x = reader.builder.add(f"{node.name}_flatten", "flatten", [reader.data(node)])
    return reader.builder.linear(node.name, x, weight, bias)


def _matmul(reader: GraphReader, node: OnnxNode) -> str:
    weight = reader.optional(node, 1)
    if weight is None or weight.ndim != 2 or reader.known(node.inputs[0]):
        return reader.builder.add(node.name, "matmul", [reader.data(node), reader.data(node, 1)])
    bias, names = reader.bias_after(node, weight.shape[1])
    value = reader.builder.linear(node.name, reader.data(node), weight.T, bias)
    for name in names:
        reader.give(name, value)
    return value


# Sums, products and functions of each number.


def _binary(op: str) -> Operator:
    """Of two values; with a known number, or one for each channel, in the plainest form."""

    def read(reader: GraphReader, node: OnnxNode) -> str:
        if len(node.inputs) != 2:
            raise WeightsError(f"{len(node.inputs)} inputs")
        left, right = (reader.known(name) for name in node.inputs)
        found = "" if left == right else _with_known(reader, node, op, 1 if right else 0)
        return found or reader.builder.add(node.name, op, [reader.data(node), reader.data(node, 1)])

    return read


def _with_known(reader: GraphReader, node: OnnxNode, op: str, known: int) -> str:
    """``op`` of a value and a known array, in its plain form if it has one."""
    builder, name = reader.builder, node.name
    array, x = reader.array(node, known), reader.data(node, 1 - known)
    rank = len(builder.shapes[x])
    if array.size == 1 and array.ndim <= rank:
        value = float(array.item())
        if not math.isfinite(value):
            raise WeightsError("with a number that is not finite")
        if op in ("add", "mul"):
            return builder.add(name, f"{op}_scalar", [x], value=value)
        if op == "sub" and known == 1:
            return builder.add(name, "add_scalar", [x], value=-value)
        if op == "sub":
            return builder.add(name, "add_scalar", [builder.negative(name, x)], value=value)
        if op == "div" and known == 1 and value:
            return builder.add(name, "mul_scalar", [x], value=1 / value)
    per_channel = array.ndim in (3, 4) and array.shape[-3:] == (array.size, 1, 1)
    if rank == 4 and array.size > 1 and per_channel and op in ("add", "sub", "mul"):
        factors = array.reshape(-1)
        if op == "mul":
            return _channel_wise(reader, node, x, factors, None)
        weight = np.full(factors.shape, -1.0 if op == "sub" and known == 0 else 1.0, np.float32)
        return _channel_wise(
            reader, node, x, weight, -factors if op == "sub" and known == 1 else factors
        )
    return ""


def _channel_wise(
    reader: GraphReader, node: OnnxNode, x: str, weight: Array, bias: Array | None
) -> str:
    """A factor and a summand for each channel of a map, as a convolution of each by itself."""
    return reader.builder.conv(
        node.name,
        x,
        weight.reshape(-1, 1, 1, 1),
        bias,
        stride=(1, 1),
        padding=(0, 0),
        dilation=(1, 1),
        groups=weight.size,
    )


def _sum(reader: GraphReader, node: OnnxNode) -> str:
    inputs = [reader.data(node, index) for index in range(len(node.inputs))]
    return reader.builder.sum(node.name, inputs)


def _power(reader: GraphReader, node: OnnxNode) -> str:
    exponent = reader.number(node, 1)
    if exponent == 2:
        return reader.builder.add(node.name, "square", [reader.data(node)])
    if exponent == 0.5:
        return reader.builder.add(node.name, "sqrt", [reader.data(node)])
    raise WeightsError("only squares and square roots are supported")


def _clip(reader: GraphReader, node: OnnxNode) -> str:
    bounds: list[float | None] = []
    for index, key in enumerate(("min", "max"), start=1):
        if len(node.inputs) > index and node.inputs[index]:
            bounds.append(float(reader.array(node, index).item()))
        else:
            bounds.append(node.number(key, 0) if node.has(key) else None)
    if bounds == [None, None]:
        return reader.builder.add(node.name, "identity", [reader.data(node)])
    low, high = bounds
    return reader.builder.add(node.name, "clip", [reader.data(node)], min=low, max=high)


def _leaky_relu(reader: GraphReader, node: OnnxNode) -> str:
    slope = node.number("alpha", 0.01)
    return reader.builder.add(node.name, "leaky_relu", [reader.data(node)], negative_slope=slope)


def _gelu(reader: GraphReader, node: OnnxNode) -> str:
    op = "gelu_tanh" if node.text("approximate", "none") == "tanh" else "gelu"
    return reader.builder.add(node.name, op, [reader.data(node)])


def _softmax(reader: GraphReader, node: OnnxNode) -> str:
    axis = reader.axis(node, -1 if reader.opset >= 13 else 1)
    if reader.opset < 13 and axis != len(reader.shape(node)) - 1:
        raise WeightsError("over several axes")
    return reader.builder.add(node.name, "softmax", [reader.data(node)], dim=axis)


# Means, sums and lengths.


def _pool(op: str) -> Operator:
    def read(reader: GraphReader, node: OnnxNode) -> str:
        if node.pair("dilations", (1, 1)) != [1, 1]:
            raise WeightsError("unsupported dilations")
        attributes: dict[str, Any] = {
            "kernel_size": node.pair("kernel_shape"),
            "stride": node.pair("strides", (1, 1)),
            "padding": node.padding(),
            "ceil_mode": bool(node.integer("ceil_mode", 0)),
        }
        if op == "avg_pool":
            attributes["count_include_pad"] = bool(node.integer("count_include_pad", 0))
        return reader.builder.add(node.name, op, [reader.data(node)], **attributes)

    return read


def _reduce(op: str) -> Operator:
    def read(reader: GraphReader, node: OnnxNode) -> str:
        shape = reader.shape(node)
        given = reader.integers(node, "axes", 1)
        axes = sorted(axis % len(shape) for axis in given or range(len(shape)))
        if any(shape[axis] % BATCH == 0 for axis in axes):
            raise WeightsError("over the batch")
        keep, x = bool(node.integer("keepdims", 1)), reader.data(node)
        if op == "reduce_mean" and len(shape) == 4 and axes == [2, 3]:
            name = node.name if keep else f"{node.name}_places"
            x = reader.builder.add(name, "global_avg_pool", [x])
            return x if keep else reader.builder.add(node.name, "flatten", [x])
        return reader.builder.add(node.name, op, [x], dim=axes, keepdim=keep)

    return read


def _lp_normalization(reader: GraphReader, node: OnnxNode) -> str:
    if node.integer("p", 2) != 2:
        raise WeightsError("only p = 2 is supported")
    x, axis = reader.data(node), reader.axis(node, -1)
    length = reader.builder.add(f"{node.name}_length", "reduce_l2", [x], dim=[axis], keepdim=True)
    return reader.builder.add(node.name, "div", [x, length])


def _local_response_norm(reader: GraphReader, node: OnnxNode) -> str:
    return reader.builder.add(
        node.name,
        "local_response_norm",
        [reader.data(node)],
        size=node.integer("size", 0),
        alpha=node.number("alpha", 1e-4),
        beta=node.number("beta", 0.75),
        k=node.number("bias", 1.0),
    )


# Shapes.


def _flatten(reader: GraphReader, node: OnnxNode) -> str:
    axis = node.integer("axis", 1)
    if axis in (1, -1):
        return reader.builder.add(node.name, "flatten", [reader.data(node)])
    shape = reader.shape(node)
    axis += len(shape) if axis < 0 else 0
    return reader.reshaped(node, [math.prod(shape[:axis]), math.prod(shape[axis:])])


def _reshape(reader: GraphReader, node: OnnxNode) -> str:
    given = reader.integers(node, "shape", 1)
    if given is None:
        raise WeightsError("a shape that depends on the photo")
    if reader.any_size:
        return _rows(reader, node, given)
    shape = reader.shape(node)
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
    if len(shape) == 2 and shape[1] == lengths[-1] and math.prod(shape) != math.prod(lengths):
        lengths = list(shape)
    return reader.reshaped(node, lengths)


def _rows(reader: GraphReader, node: OnnxNode, shape: list[int]) -> str:
    """A map with its channels last becomes a list of places."""
    x = reader.maps_turned.get(node.inputs[0])
    if x is None or len(shape) not in (2, 3) or shape[-1] < 1 or -1 not in shape[:-1]:
        raise WeightsError(f"unsupported shape {shape}")
    return reader.builder.add(node.name, "rows", [x], width=shape[-1])


def _squeeze(reader: GraphReader, node: OnnxNode) -> str:
    shape = reader.shape(node)
    given = reader.integers(node, "axes", 1)
    axes = (
        {axis % len(shape) for axis in given}
        if given
        else {axis for axis, length in enumerate(shape) if length == 1}
    )
    return reader.reshaped(node, [n for axis, n in enumerate(shape) if axis not in axes])


def _unsqueeze(reader: GraphReader, node: OnnxNode) -> str:
    shape = list(reader.shape(node))
    given = reader.integers(node, "axes", 1) or []
    rank = len(shape) + len(given)
    for axis in sorted(axis % rank for axis in given):
        shape.insert(axis, 1)
    return reader.reshaped(node, shape)


def _transpose(reader: GraphReader, node: OnnxNode) -> str:
    x = reader.data(node)
    rank = len(reader.shape(node))
    dims = node.integers("perm", range(rank)[::-1])
    if reader.any_size:
        # (2, 3, 0, 1) is right for a batch of one only: places first, then photos.
        if dims not in ([0, 2, 3, 1], [2, 3, 0, 1]):
            raise WeightsError("only puts of the channels last are supported")
        reader.maps_turned[node.name] = x
        dims = [0, 2, 3, 1]
    return reader.builder.add(node.name, "permute", [x], dims=dims)


def _expand(reader: GraphReader, node: OnnxNode) -> str:
    target = reader.integers(node, "shape", 1)
    if target is None:
        raise WeightsError("a shape that depends on the photo")
    shape = reader.shape(node)
    full = np.broadcast_shapes(
        tuple(1 if n % BATCH == 0 else n for n in shape),
        tuple(1 if n % BATCH == 0 else n for n in target),
    )
    if len(full) != len(shape):
        raise WeightsError("adds axes")
    lengths = [-1 if own % BATCH == 0 else n for own, n in zip(shape, full, strict=True)]
    return reader.builder.add(node.name, "expand", [reader.data(node)], shape=lengths)


def _pad(reader: GraphReader, node: OnnxNode) -> str:
    """Zeros around a map, or after its channels."""
    pads, value = reader.integers(node, "pads", 1) or [], reader.number(node, 2)
    number = node.number("value", 0.0) if value is None else value
    if node.text("mode", "constant") != "constant" or number or len(pads) != 8:
        raise WeightsError("only zeros around a map are supported")
    if pads[0] or pads[4] or min(pads) < 0 or max(pads) > _MOST_PADDING:
        raise WeightsError(f"unsupported padding {pads}")
    edges = [pads[axis + side] for axis in (3, 2, 1) for side in (0, 4)]  # from the last axis
    return reader.builder.add(node.name, "pad", [reader.data(node)], pad=edges)


def _resize(reader: GraphReader, node: OnnxNode) -> str:
    """Enlargement to the nearest pixel, by whole factors or to the size of another map."""
    if node.text("mode", "nearest") != "nearest":
        raise WeightsError("only the nearest pixel is supported")
    x = reader.data(node)
    to_size = node.op == "Resize" and len(node.inputs) > 3
    if to_size and (
        node.text("coordinate_transformation_mode", "half_pixel") != "asymmetric"
        or node.text("nearest_mode", "round_prefer_floor") != "floor"
    ):
        raise WeightsError("unsupported choice of the nearest pixel")
    if to_size and reader.any_size:
        return reader.builder.add(node.name, "upsample_like", [x, reader.size_of(node, 3)])
    scales = reader.array(node, len(node.inputs) - 1).ravel().tolist()
    if to_size:
        # A batch of the file's own length, 1 or any, is the batch it was.
        old = reader.shape(node)[1:]
        scales = [1, *(new / length for new, length in zip(scales[1:], old, strict=True))]
    if len(scales) != 4 or scales[:2] != [1, 1] or not all(s in _FACTORS for s in scales[2:]):
        raise WeightsError(f"unsupported factors {scales[:8]}")
    return reader.builder.add(node.name, "upsample", [x], factors=scales[2:])


# Parts of values, and values put together.


def _slice(reader: GraphReader, node: OnnxNode) -> str:
    x = reader.data(node)
    for axis, part in slices(reader, node):
        length = reader.builder.shapes[x][axis]
        places = range(length)[part]
        if places == range(length):
            continue
        if length % BATCH == 0 or not places:
            raise WeightsError("cuts the batch, or leaves nothing")
        if reader.any_size and axis > 1:
            raise WeightsError("cuts another axis than the channels")
        x = _picked(reader, node.name, x, axis, places)
    return x


def _picked(reader: GraphReader, name: str, x: str, axis: int, places: range) -> str:
    """Places of an axis in any order."""
    builder = reader.builder
    if places.step < 0:
        length = builder.shapes[x][axis]
        x = builder.add(name, "flip", [x], dim=axis)
        places = range(length - 1 - places[0], length - places[-1], -places.step)
    start, stop, step = places.start, places[-1] + 1, places.step
    if (axis, step) == (1, 1):
        return builder.add(name, "slice_channels", [x], start=start, stop=stop)
    return builder.add(name, "slice", [x], dim=axis, start=start, stop=stop, step=step)


def _gather(reader: GraphReader, node: OnnxNode) -> str:
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


def _split(reader: GraphReader, node: OnnxNode) -> str:
    axis = reader.axis(node, 0)
    length = reader.shape(node)[axis]
    count = len(node.outputs)
    sizes = reader.integers(node, "split", 1) or [-(-length // count)] * count
    start, parts = 0, []
    for output, size in zip(node.outputs, sizes, strict=True):
        stop = min(start + size, length)
        parts.append(_picked(reader, output, reader.data(node), axis, range(start, stop)))
        reader.give(output, parts[-1])
        start = stop
    return parts[0]


def _concat(reader: GraphReader, node: OnnxNode) -> str:
    first = next(index for index, name in enumerate(node.inputs) if not reader.known(name))
    axis = node.integer("axis", 1) % len(reader.shape(node, first))
    if reader.any_size and axis != 1:
        raise WeightsError("joins another axis than the channels")
    values = []
    for index, name in enumerate(node.inputs):
        value = reader.data(node, index)
        if reader.known(name):  # the same for every face, such as a class token
            inputs = [value, reader.data(node, first)]
            shape = list(reader.builder.shapes[value][1:])
            value = reader.builder.add(f"{name}_faces", "per_face", inputs, shape=shape)
        values.append(value)
    if axis == 1:
        return reader.builder.add(node.name, "concat", values)
    return reader.builder.add(node.name, "concat_along", values, dim=axis)


OPERATORS: dict[str, Operator] = {
    "Abs": _plain("abs"),
    "Add": _binary("add"),
    "AveragePool": _pool("avg_pool"),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _binary("div"),
    "Dropout": _dropout,
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
    "LRN": _local_response_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "LpNormalization": _lp_normalization,
    "MatMul": _matmul,
    "Max": _binary("maximum"),
    "MaxPool": _pool("max_pool"),
    "Mul": _binary("mul"),
    "Neg": _plain("mul_scalar", value=-1.0),
    "PRelu": _prelu,
    "Pad": _pad,
    "Pow": _power,
    "Reciprocal": _plain("reciprocal"),
    "ReduceL2": _reduce("reduce_l2"),
    "ReduceMean": _reduce("reduce_mean"),
    "ReduceSum": _reduce("reduce_sum"),
    "Relu": _plain("relu"),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _plain("sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _plain("sqrt"),
    "Squeeze": _squeeze,
    "Sub": _binary("sub"),
    "Sum": _sum,
    "Tanh": _plain("tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Upsample": _resize,
}
"""By ONNX's name."""

SIZE_BOUND = frozenset(("Expand", "Gather", "LayerNormalization", "Split", "Squeeze", "Unsqueeze"))
"""Those whose steps hold for photos of one size."""
