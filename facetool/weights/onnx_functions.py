"""How each function that networks call is written as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from facetool.errors import WeightsError
from facetool.networks import lrn
from facetool.weights.onnx_recorder import ONNX_INPUT, RECORDED_BATCH, Handler, OnnxRecorder


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _simple(op: str) -> Callable[..., str]:
    """A function of one tensor that ONNX has under another name."""

    def write(r: OnnxRecorder, out: Tensor, x: Tensor, *_: Any, **__: Any) -> str:
        return r.emit(op, [r.name(x)])

    return write


def _same(r: OnnxRecorder, out: Tensor, x: Tensor, *_: Any, **__: Any) -> str:
    return r.name(x)


def _binary(op: str, reverse: bool = False) -> Callable[..., str]:
    """A function of two tensors, or of a tensor and a number."""

    def write(r: OnnxRecorder, out: Tensor, x: Any, y: Any, *, alpha: float = 1) -> str:
        names = [r.name(x), r.name(y)]
        if alpha != 1:
            names[1] = r.emit("Mul", [names[1], r.name(alpha)])
        return r.emit(op, names[::-1] if reverse else names)

    return write


def _conv2d(
    r: OnnxRecorder,
    out: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> str:
    inputs = [r.name(value) for value in (x, weight, bias) if value is not None]
    return r.emit(
        "Conv",
        inputs,
        kernel_shape=list(weight.shape[2:]),
        strides=_pair(stride),
        pads=_pair(padding) * 2,
        dilations=_pair(dilation),
        group=groups,
    )


def _linear(
    r: OnnxRecorder, out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> str:
    if x.dim() > 2:
        product = r.emit("MatMul", [r.name(x), r.constant(r.array(weight).T)])
        return product if bias is None else r.emit("Add", [product, r.name(bias)])
    inputs = [r.name(value) for value in (x, weight, bias) if value is not None]
    return r.emit("Gemm", inputs, transB=1)


def _layer_norm(
    r: OnnxRecorder,
    out: Tensor,
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor,
    bias: Tensor,
    eps: float = 1e-5,
) -> str:
    inputs = [r.name(value) for value in (x, weight, bias)]
    axis = -len(normalized_shape)
    return r.emit("LayerNormalization", inputs, axis=axis, epsilon=eps)


def _batch_norm(
    r: OnnxRecorder,
    out: Tensor,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> str:
    inputs = [r.name(value) for value in (x, weight, bias, mean, variance)]
    return r.emit("BatchNormalization", inputs, epsilon=eps)


def _prelu(r: OnnxRecorder, out: Tensor, x: Tensor, weight: Tensor) -> str:
    # ONNX broadcasts slopes from the last axis, PyTorch along the channels.
    slopes = r.array(weight).reshape(-1, *[1] * (x.dim() - 2))
    return r.emit("PRelu", [r.name(x), r.constant(slopes)])


def _leaky_relu(
    r: OnnxRecorder, out: Tensor, x: Tensor, negative_slope: float = 0.01, inplace: bool = False
) -> str:
    return r.emit("LeakyRelu", [r.name(x)], alpha=negative_slope)


def _clamp(
    r: OnnxRecorder, out: Tensor, x: Tensor, min: float | None = None, max: float | None = None
) -> str:
    limits = ["" if limit is None else r.name(limit) for limit in (min, max)]
    return r.emit("Clip", [r.name(x), *limits])


def _relu6(r: OnnxRecorder, out: Tensor, x: Tensor, inplace: bool = False) -> str:
    return r.emit("Clip", [r.name(x), r.name(0.0), r.name(6.0)])


def _gelu(r: OnnxRecorder, out: Tensor, x: Tensor, approximate: str = "none") -> str:
    """x / 2 * (1 + erf(x / √2)), or its approximation; ONNX names it in a later version."""
    name = r.name(x)
    if approximate == "none":
        share = r.emit("Erf", [r.emit("Mul", [name, r.name(0.5**0.5)])])
    else:
        cube = r.emit("Mul", [r.emit("Mul", [name, name]), name])
        inner = r.emit("Add", [name, r.emit("Mul", [cube, r.name(0.044715)])])
        share = r.emit("Tanh", [r.emit("Mul", [inner, r.name((2 / np.pi) ** 0.5)])])
    half = r.emit("Mul", [name, r.name(0.5)])
    return r.emit("Mul", [half, r.emit("Add", [share, r.name(1.0)])])


def _softmax(r: OnnxRecorder, out: Tensor, x: Tensor, dim: int, **_: Any) -> str:
    return r.emit("Softmax", [r.name(x)], axis=dim)


def _normalize(
    r: OnnxRecorder,
    made: Tensor,
    x: Tensor,
    p: float = 2.0,
    dim: int = 1,
    eps: float = 1e-12,
    **_: Any,
) -> str:
    if p != 2:
        raise WeightsError("cannot write normalize() of another length than p = 2 as ONNX")
    length = r.emit("ReduceL2", [r.name(x)], axes=[dim], keepdims=1)
    return r.emit("Div", [r.name(x), r.emit("Clip", [length, r.name(eps)])])


def _square(r: OnnxRecorder, out: Tensor, x: Tensor) -> str:
    return r.emit("Mul", [r.name(x)] * 2)


def _rsqrt(r: OnnxRecorder, out: Tensor, x: Tensor) -> str:
    return r.emit("Reciprocal", [r.emit("Sqrt", [r.name(x)])])


def _max_pool2d(
    r: OnnxRecorder,
    out: Tensor,
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> str:
    return r.emit(
        "MaxPool",
        [r.name(x)],
        kernel_shape=_pair(kernel_size),
        strides=_pair(stride or kernel_size),
        pads=_pair(padding) * 2,
        dilations=_pair(dilation),
        ceil_mode=int(ceil_mode),
    )


def _avg_pool2d(
    r: OnnxRecorder,
    out: Tensor,
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> str:
    kernel = _pair(kernel_size)
    mean = r.emit(
        "AveragePool",
        [r.name(x)],
        kernel_shape=kernel,
        strides=_pair(stride or kernel_size),
        pads=_pair(padding) * 2,
        ceil_mode=int(ceil_mode),
        # Sums are means over the whole window, times its size.
        count_include_pad=int(count_include_pad or divisor_override is not None),
    )
    if divisor_override is None:
        return mean
    return r.emit("Mul", [mean, r.name(kernel[0] * kernel[1] / divisor_override)])


def _local_response_norm(
    r: OnnxRecorder,
    out: Tensor,
    x: Tensor,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> str:
    if r.lrn_operator or beta != 0.75:
        return r.emit("LRN", [r.name(x)], size=size, alpha=alpha, beta=beta, bias=k)
    channels = x.shape[1]
    band = lrn.band(channels, size, alpha / size).numpy()
    weights = [r.constant(band), r.constant(np.full(channels, k, np.float32))]
    base = r.emit("Conv", [_square(r, out, x), *weights], kernel_shape=[1, 1])
    root = r.emit("Sqrt", [base])
    power = r.emit("Mul", [root, r.emit("Sqrt", [root])])
    return r.emit("Div", [r.name(x), power])


def _mean(
    r: OnnxRecorder, out: Tensor, x: Tensor, dim: int | Sequence[int], keepdim: bool = False
) -> str:
    axes = [dim] if isinstance(dim, int) else list(dim)
    return r.emit("ReduceMean", [r.name(x)], axes=axes, keepdims=int(keepdim))


def _sum(
    r: OnnxRecorder, out: Tensor, x: Tensor, dim: int | Sequence[int], keepdim: bool = False
) -> str:
    axes = r.constant(np.array([dim] if isinstance(dim, int) else dim, np.int64))
    return r.emit("ReduceSum", [r.name(x), axes], keepdims=int(keepdim))


def _flatten(r: OnnxRecorder, out: Tensor, x: Tensor, start_dim: int = 0, end_dim: int = -1) -> str:
    if (start_dim, end_dim) == (1, -1):
        return r.emit("Flatten", [r.name(x)], axis=1)
    return _reshape(r, out, x)


def _reshape(r: OnnxRecorder, out: Tensor, x: Tensor, *shape: Any) -> str:
    grown = [axis for axis, length in enumerate(out.shape) if length % RECORDED_BATCH == 0]
    if len(grown) != 1:
        raise WeightsError("cannot write reshape() of the batch axis as ONNX")
    lengths = list(out.shape)
    lengths[grown[0]] = 0 if grown == [0] and out.shape[0] == x.shape[0] else -1
    return r.emit("Reshape", [r.name(x), r.constant(np.array(lengths, np.int64))])


def _expand(r: OnnxRecorder, out: Tensor, x: Tensor, *shape: Any) -> str:
    """To the batch's length where that is what grows."""
    lengths = r.constant(np.array(out.shape, np.int64))
    if out.shape[0] == RECORDED_BATCH:
        batch = r.emit("Shape", [ONNX_INPUT], end=1)
        rest = r.constant(np.array(out.shape[1:], np.int64))
        lengths = r.emit("Concat", [batch, rest], axis=0)
    return r.emit("Expand", [r.name(x), lengths])


def _permute(r: OnnxRecorder, out: Tensor, x: Tensor, *dims: Any) -> str:
    order = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return r.emit("Transpose", [r.name(x)], perm=list(order))


def _transpose(r: OnnxRecorder, out: Tensor, x: Tensor, first: int, second: int) -> str:
    order = list(range(x.dim()))
    order[first], order[second] = order[second], order[first]
    return r.emit("Transpose", [r.name(x)], perm=order)


def _flip(r: OnnxRecorder, out: Tensor, x: Tensor, dim: int) -> str:
    bounds = [r.constant(np.array([value], np.int64)) for value in (-1, -(2**31), dim, -1)]
    return r.emit("Slice", [r.name(x), *bounds])


def _select(r: OnnxRecorder, out: Tensor, x: Tensor, dim: int, index: int) -> str:
    return r.emit("Gather", [r.name(x), r.constant(np.array(index, np.int64))], axis=dim)


def _stack(r: OnnxRecorder, out: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> str:
    axis = r.constant(np.array([dim], np.int64))
    parts = [r.emit("Unsqueeze", [r.name(tensor), axis]) for tensor in tensors]
    return r.emit("Concat", parts, axis=dim)


def _cat(r: OnnxRecorder, out: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> str:
    return r.emit("Concat", [r.name(tensor) for tensor in tensors], axis=dim)


def _pad(
    r: OnnxRecorder,
    out: Tensor,
    x: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> str:
    if not any(pad):
        return r.name(x)
    if mode != "constant" or value:
        raise WeightsError("cannot write pad() with anything but zeros as ONNX")
    missing = [0] * (x.dim() - len(pad) // 2)  # PyTorch counts axes from the last
    begins, ends = missing + list(pad[0::2])[::-1], missing + list(pad[1::2])[::-1]
    return r.emit("Pad", [r.name(x), r.constant(np.array(begins + ends, np.int64))])


def _channels(index: Any) -> slice:
    """The slice of a subscript ``[:, start:stop]``."""
    match index:
        case (slice(start=None, stop=None, step=None), slice(step=None) as channels):
            return channels
    raise WeightsError(f"cannot write the subscript {index} as ONNX")


def _slice(r: OnnxRecorder, x: str, start: int, stop: int, axis: int = 1, step: int = 1) -> str:
    bounds = [r.constant(np.array([value], np.int64)) for value in (start, stop, axis, step)]
    return r.emit("Slice", [x, *bounds])


def _getitem(r: OnnxRecorder, out: Tensor, x: Tensor, index: Any) -> str:
    """Slices and whole numbers, which take their axis away."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(type(part) not in (int, slice) for part in parts):
        raise WeightsError(f"cannot write the subscript {index} as ONNX")
    name = r.name(x)
    for axis, part in reversed(list(enumerate(parts))):
        if isinstance(part, int):
            name = r.emit("Gather", [name, r.constant(np.array(part, np.int64))], axis=axis)
        elif part.indices(x.shape[axis]) != (0, x.shape[axis], 1):
            start, stop, step = part.indices(x.shape[axis])
            name = _slice(r, name, start, stop, axis, step)
    return name


def _setitem(r: OnnxRecorder, out: None, x: Tensor, index: Any, value: Tensor) -> str:
    """What ``x`` is afterwards."""
    start, stop, _ = _channels(index).indices(x.shape[1])
    parts = [r.name(value)]
    if start > 0:
        parts.insert(0, _slice(r, r.name(x), 0, start))
    if stop < x.shape[1]:
        parts.append(_slice(r, r.name(x), stop, x.shape[1]))
    return r.emit("Concat", parts, axis=1) if len(parts) > 1 else parts[0]


HANDLERS: dict[str, Handler] = {
    "add": _binary("Add"),
    "radd": _binary("Add"),
    "sub": _binary("Sub"),
    "rsub": _binary("Sub", reverse=True),
    "mul": _binary("Mul"),
    "rmul": _binary("Mul"),
    "div": _binary("Div"),
    "truediv": _binary("Div"),
    "reciprocal": _simple("Reciprocal"),
    "abs": _simple("Abs"),
    "erf": _simple("Erf"),
    "exp": _simple("Exp"),
    "expand": _expand,
    "flip": _flip,
    "gelu": _gelu,
    "hardswish": _simple("HardSwish"),
    "layer_norm": _layer_norm,
    "matmul": _binary("MatMul"),
    "maximum": _binary("Max"),
    "normalize": _normalize,
    "permute": _permute,
    "relu": _simple("Relu"),
    "relu6": _relu6,
    "select": _select,
    "softmax": _softmax,
    "stack": _stack,
    "tanh": _simple("Tanh"),
    "transpose": _transpose,
    "sigmoid": _simple("Sigmoid"),
    "sqrt": _simple("Sqrt"),
    "dropout": _same,
    "conv2d": _conv2d,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "prelu": _prelu,
    "leaky_relu": _leaky_relu,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "square": _square,
    "rsqrt": _rsqrt,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "local_response_norm": _local_response_norm,
    "mean": _mean,
    "sum": _sum,
    "flatten": _flatten,
    "reshape": _reshape,
    "view": _reshape,
    "cat": _cat,
    "pad": _pad,
    "getitem": _getitem,
    "setitem": _setitem,
}
"""By the function's name without underscores, so that ``__iadd__`` is ``add`` as well."""
