"""OpenFace networks from Torch7 ``.t7`` files, module by module.

Every attribute comes from the modules in the file, never from the network's name: networks of
January and of June 2016 have the same weight shapes and differ in their pooling only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from facetool.alignment.recipes import OPENFACE_224, OPENFACE_OUTER, Crop, Recipe
from facetool.errors import WeightsError
from facetool.files.tensors import as_tensor
from facetool.networks.graph import INPUT, GraphNetwork, Node, build_graph, cut
from facetool.weights.readers.torch7 import LuaTable, TorchObject, read
from facetool.weights.shapes import measure_embedding_size

MAX_NESTING = 32
MAX_LAYERS = 10_000
"""A file may list one module many times over; OpenFace's largest network has 300 layers."""
_LARGEST = 1 << 16
_VGG_WIDTHS = (64, 64, 128, 128, *[256] * 3, *[512] * 6, 4096, 4096)
"""Outputs of VGG Face's layers but the last."""


@dataclass(frozen=True)
class _Module:
    """A module, its place in the tree, and checked access to its attributes."""

    path: Path
    kind: str
    place: tuple[int, ...]
    fields: LuaTable

    def error(self, reason: str) -> WeightsError:
        place = "modules " + ".".join(map(str, self.place)) if self.place else "top module"
        return WeightsError(f"{self.path}: {place} ({self.kind}): {reason}")

    def number(self, name: str, default: float | None = None) -> float:
        value = self.fields.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error(f"{name} is not a number")
        return float(value)

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.number(name, default)
        if not (0 <= value <= _LARGEST and value == int(value)):
            raise self.error(f"{name} is {value:g}, not a size")
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        # Lua: everything but nil and false is true, 0 too.
        return self.fields.get(name, default) is not False

    def padding(self) -> list[int]:
        """Rows, columns; very old files have one number for both, or none."""
        both = self.whole("padding", 0)
        return [self.whole("padH", both), self.whole("padW", both)]

    def array(self, name: str) -> NDArray[Any] | None:
        value = self.fields.get(name)
        if value is not None and not (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
            raise self.error(f"{name} is not a tensor of floating-point numbers")
        return value

    def children(self) -> Iterator[_Module]:
        modules = self.fields.get("modules")
        if not isinstance(modules, LuaTable) or not modules:
            raise self.error("has no modules")
        if len(self.place) == MAX_NESTING:
            raise self.error(f"modules nested deeper than {MAX_NESTING}")
        for position in range(1, len(modules) + 1):
            yield _module(self.path, (*self.place, position), modules.get(position))


def _module(path: Path, place: tuple[int, ...], value: Any) -> _Module:
    if isinstance(value, TorchObject) and isinstance(value.fields, LuaTable):
        return _Module(path, value.kind, place, value.fields)
    kind = value.kind if isinstance(value, TorchObject) else type(value).__name__
    raise _Module(path, kind, place, LuaTable()).error("is not a network module")


@dataclass
class _Graph:
    """The nodes and tensors made so far."""

    budget: int
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def add(self, module: _Module, op: str, *inputs: str, **attributes: Any) -> str:
        if len(self.nodes) == MAX_LAYERS:
            raise module.error(f"more than {MAX_LAYERS:,} layers")
        name = "_".join(("layer", *map(str, module.place)))
        self.nodes.append(Node(name, op, inputs, attributes))
        return name

    def put(self, module: _Module, layer: str, part: str, values: NDArray[Any]) -> None:
        # Modules can share tensors; copying each must not add up beyond what the file explains.
        self.budget -= 4 * values.size
        if self.budget < 0:
            raise module.error("the modules have more weights than the file can hold")
        with np.errstate(over="ignore"):
            self.tensors[f"{layer}.{part}"] = as_tensor(values)

    def lower(self, module: _Module, x: str) -> str:
        """Add a module that takes the value ``x``; returns the name of what it gives."""
        if module.kind not in _MODULES:
            raise module.error(
                "unknown kind of module; those of OpenFace's and VGG Face's networks can be read"
            )
        return _MODULES[module.kind](self, module, x)


def _sequential(graph: _Graph, module: _Module, x: str) -> str:
    for child in module.children():
        x = graph.lower(child, x)
    return x


def _decorator(graph: _Graph, module: _Module, x: str) -> str:
    # dpnn: an nn.Inception only passes on to the nn.DepthConcat it built for itself.
    return graph.lower(next(module.children()), x)


def _depth_concat(graph: _Graph, module: _Module, x: str) -> str:
    if module.whole("dimension") != 2:
        raise module.error("joins along another dimension than channels")
    branches = [graph.lower(child, x) for child in module.children()]
    return graph.add(module, "depth_concat", *branches)


def _convolution(graph: _Graph, module: _Module, x: str) -> str:
    inputs, outputs = module.whole("nInputPlane"), module.whole("nOutputPlane")
    kernel = [module.whole("kH"), module.whole("kW")]
    shape = (outputs, inputs, *kernel)
    weight, bias, padding = module.array("weight"), module.array("bias"), module.padding()
    if weight is None or weight.size != prod(shape) or weight.ndim not in (2, 4):
        raise module.error(f"its weight is not of shape {shape}")
    if any(pad >= size for pad, size in zip(padding, kernel, strict=True)):
        raise module.error(f"padding {padding} is as large as the kernel {kernel}")
    layer = graph.add(
        module,
        "conv",
        x,
        in_channels=inputs,
        out_channels=outputs,
        kernel_size=kernel,
        stride=[module.whole("dH", 1), module.whole("dW", 1)],
        padding=padding,
        bias=bias is not None,
    )
    graph.put(module, layer, "weight", weight.reshape(shape))
    if bias is not None:
        graph.put(module, layer, "bias", bias)
    return layer


def _linear(graph: _Graph, module: _Module, x: str) -> str:
    weight, bias = module.array("weight"), module.array("bias")
    if weight is None or weight.ndim != 2:
        raise module.error("has no weight matrix")
    outputs, inputs = weight.shape
    layer = graph.add(
        module, "linear", x, in_features=inputs, out_features=outputs, bias=bias is not None
    )
    graph.put(module, layer, "weight", weight)
    if bias is not None:
        graph.put(module, layer, "bias", bias)
    return layer


def _batch_norm(graph: _Graph, module: _Module, x: str) -> str:
    eps = module.number("eps", 1e-5)
    mean, variance = module.array("running_mean"), module.array("running_var")
    inverse_std = module.array("running_std")
    if variance is None and inverse_std is not None:
        # Before 2016-01-05: "running_std" is (variance + eps)^-1/2 (nn, BatchNormalization:read).
        with np.errstate(all="ignore"):
            variance = inverse_std.astype(np.float64) ** -2 - eps
    if mean is None or variance is None:
        raise module.error("has no running mean and variance")
    weight, bias = module.array("weight"), module.array("bias")
    layer = graph.add(
        module,
        "batch_norm",
        x,
        num_features=mean.size,
        eps=eps,
        momentum=module.number("momentum", 0.1),
        affine=weight is not None,
    )
    graph.put(module, layer, "running_mean", mean)
    graph.put(module, layer, "running_var", variance)
    if weight is not None:
        graph.put(module, layer, "weight", weight)
        graph.put(module, layer, "bias", np.zeros_like(weight) if bias is None else bias)
    return layer


def _relu(graph: _Graph, module: _Module, x: str) -> str:
    if module.number("threshold", 0) != 0 or module.number("val", 0) != 0:
        raise module.error("a threshold other than 0")
    return graph.add(module, "relu", x)


def _window(module: _Module) -> dict[str, Any]:
    """What both poolings have, as ``torch.nn.functional`` calls it."""
    return {
        "kernel_size": [module.whole("kH"), module.whole("kW")],
        "stride": [module.whole("dH"), module.whole("dW")],
        "padding": module.padding(),
        "ceil_mode": module.flag("ceil_mode"),
    }


def _max_pool(graph: _Graph, module: _Module, x: str) -> str:
    return graph.add(module, "max_pool", x, **_window(module))


def _average_pool(graph: _Graph, module: _Module, x: str) -> str:
    attributes = _window(module)
    attributes["count_include_pad"] = module.flag("count_include_pad", True)
    # Files from before this attribute hold layers that sum.
    if not module.flag("divide"):
        attributes["divisor_override"] = 1
    return graph.add(module, "avg_pool", x, **attributes)


def _cross_map_lrn(graph: _Graph, module: _Module, x: str) -> str:
    # Both frameworks divide alpha by the size, at the borders too.
    return graph.add(
        module,
        "local_response_norm",
        x,
        size=module.whole("size"),
        alpha=module.number("alpha", 1e-4),
        beta=module.number("beta", 0.75),
        k=module.number("k", 1.0),
    )


def _square(graph: _Graph, module: _Module, x: str) -> str:
    return graph.add(module, "square", x)


def _sqrt(graph: _Graph, module: _Module, x: str) -> str:
    # Its attribute eps serves the backward pass only.
    return graph.add(module, "sqrt", x)


def _mul_constant(graph: _Graph, module: _Module, x: str) -> str:
    return graph.add(module, "mul_scalar", x, value=module.number("constant_scalar"))


def _reshape(graph: _Graph, module: _Module, x: str) -> str:
    """The batch stays the first dimension, unlike in Torch7, which drops a batch of one."""
    size = module.fields.get("size")
    if not (isinstance(size, np.ndarray) and size.dtype.kind == "i" and size.ndim == 1):
        raise module.error("size is not a list of sizes")
    shape = [int(value) for value in size]
    if len(shape) > 1 and shape[0] == -1:
        del shape[0]
    if len(shape) == 1:
        return graph.add(module, "flatten", x)
    if not shape or min(shape) < 1:
        raise module.error(f"cannot reshape to {shape}")
    return graph.add(module, "reshape", x, shape=shape)


def _normalize(graph: _Graph, module: _Module, x: str) -> str:
    if module.number("p") != 2:
        raise module.error(f"normalises by the {module.number('p'):g}-norm, not the 2-norm")
    return graph.add(module, "normalize", x, eps=module.number("eps", 1e-10))


def _identity(graph: _Graph, module: _Module, x: str) -> str:
    return graph.add(module, "identity", x)


def _dropout(graph: _Graph, module: _Module, x: str) -> str:
    rate = module.number("p", 0.5)
    if not module.flag("v2"):
        # The first version scales when evaluating instead of when training.
        return graph.add(module, "mul_scalar", x, value=1 - rate)
    return graph.add(module, "dropout", x, p=rate)


def _softmax(graph: _Graph, module: _Module, x: str) -> str:
    return graph.add(module, "softmax", x, dim=1)


_MODULES: dict[str, Callable[[_Graph, _Module, str], str]] = {
    "nn.Sequential": _sequential,
    "nn.SpatialLPPooling": _sequential,
    "nn.Inception": _decorator,
    "nn.DepthConcat": _depth_concat,
    "nn.SpatialConvolution": _convolution,
    "nn.SpatialConvolutionMM": _convolution,
    "nn.SpatialBatchNormalization": _batch_norm,
    "nn.BatchNormalization": _batch_norm,
    "nn.ReLU": _relu,
    "nn.SpatialMaxPooling": _max_pool,
    "nn.SpatialAveragePooling": _average_pool,
    "nn.SpatialCrossMapLRN": _cross_map_lrn,
    "nn.Square": _square,
    "nn.Sqrt": _sqrt,
    "nn.MulConstant": _mul_constant,
    "nn.View": _reshape,
    "nn.Reshape": _reshape,
    "nn.Linear": _linear,
    "nn.Normalize": _normalize,
    "nn.Identity": _identity,
    "nn.Dropout": _dropout,
    "nn.SoftMax": _softmax,
}


def _fit_crops(network: GraphNetwork) -> dict[Crop, int]:
    """The crops whose size a network takes, with the embedding size."""
    fits, reasons = {}, []
    for crop in (OPENFACE_OUTER, OPENFACE_224):
        try:
            fits[crop] = measure_embedding_size(network, Recipe(crop).shape)
        except WeightsError as error:
            reasons.append(f"{crop.width}x{crop.height}: {error}")
    if not fits:
        raise WeightsError("its layers fit no crop size; " + "; ".join(reasons))
    return fits


def _is_openface(nodes: Sequence[Node]) -> bool:
    """Whether a network has the Inception blocks and the output of OpenFace's training code."""
    return nodes[-1].op == "normalize" and any(node.op == "depth_concat" for node in nodes)


def _vgg_feature(nodes: Sequence[Node]) -> str | None:
    """The layer of VGG Face's feature: the ReLU behind its second fully connected layer.

    What follows are the 2,622 people of its training.
    """
    layers = [index for index, node in enumerate(nodes) if node.op in ("conv", "linear")]
    widths = [_outputs(nodes[index]) for index in layers]
    if tuple(widths[:-1]) != _VGG_WIDTHS or nodes[layers[-1]].op != "linear":
        return None
    behind = nodes[layers[-2] + 1]
    return behind.name if behind.op == "relu" else nodes[layers[-2]].name


def _outputs(node: Node) -> int:
    return int(node.attributes["out_channels" if node.op == "conv" else "out_features"])


def load(path: Path) -> GraphNetwork:
    """The network in a Torch7 file, in evaluation mode.

    Embeddings are always (N, D), also of a batch of one, where Torch7 gave (D). OpenFace's
    networks have the recipe of their crop size, others none. VGG Face ends with its feature.

    Raises:
        FormatError: the file is damaged or not Torch7's.
        WeightsError: it holds no network, or one with modules that neither OpenFace's nor VGG Face
            have.
    """
    content = read(path)
    if not isinstance(content, TorchObject):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, not a network")
    graph = _Graph(budget=4 * path.stat().st_size)
    graph.lower(_module(path, (), content), INPUT)
    try:
        network = build_graph(graph.nodes, graph.tensors)
        if (feature := _vgg_feature(graph.nodes)) is not None:
            network = cut(network, feature)
        fits = _fit_crops(network)
        crop, size = next(iter(fits.items()))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    info = replace(network.info, embedding_size=size)
    if _is_openface(graph.nodes):
        info = replace(info, recipe=Recipe(crop, scale=1 / 255))
    elif len(fits) == 1:
        info = replace(info, input_size=(crop.height, crop.width))
    network.info = info
    return network
