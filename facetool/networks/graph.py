"""A network described by data: what weights files of other frameworks are turned into.

A Torch7 module tree, an MXNet symbol and an ONNX graph all become a list of :class:`Node`
plus a dictionary of tensors: an embedding network has one result, a detector several. The list
is plain JSON, so a converted file needs no other file, and every attribute (padding, stride,
eps …) is the one the source file states.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetool.errors import UsageError, WeightsError, one_line
from facetool.networks.base import CUSTOM, EmbeddingNetwork, NetworkInfo
from facetool.networks.lrn import local_response_norm

INPUT = "input"
_TINY = torch.finfo(torch.float32).tiny
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Node:
    """One step of a graph.

    Attributes:
        name: unique, a Python identifier; its tensors are called ``name.weight`` and so on.
        op: a key of ``MODULES`` (it has tensors) or ``FUNCTIONS`` (it has none).
        inputs: names of earlier nodes, or ``input``.
        attributes: JSON values, the arguments of the module or function.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def as_list(self) -> list[Any]:
        """The node as JSON: name, op, inputs, attributes."""
        values = asdict(self)
        return [self.name, self.op, list(self.inputs), values["attributes"]]


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation of (N, C) or (N, C, H, W), as the source frameworks allow."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise WeightsError(f"batch normalisation of a {input.dim()}-dimensional tensor")
        # PyTorch does not compare them for a batch of no images, with which files are checked.
        if input.shape[1] != self.num_features:
            raise WeightsError(
                f"batch normalisation of {self.num_features} channels on {input.shape[1]}"
            )


class LayerNorm(nn.LayerNorm):
    """Layer normalisation, which does not compare widths for a batch of no faces by itself."""

    def __init__(self, normalized_shape: Sequence[int], eps: float) -> None:
        super().__init__(tuple(normalized_shape), eps=eps)


class Constant(nn.Module):
    """Numbers that are the same for every face, such as where a patch lies. They do not learn.

    Args:
        shape: of them.
    """

    weight: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.empty(tuple(shape)))

    def forward(self, x: Tensor) -> Tensor:
        """The numbers, whatever the input."""
        return self.weight


def depth_concat(tensors: Sequence[Tensor]) -> Tensor:
    """Torch7's ``nn.DepthConcat``: smaller maps are centred in zeros; the odd one goes after."""
    height = max(tensor.shape[2] for tensor in tensors)
    width = max(tensor.shape[3] for tensor in tensors)
    padded = []
    for tensor in tensors:
        down, right = height - tensor.shape[2], width - tensor.shape[3]
        padded.append(F.pad(tensor, (right // 2, right - right // 2, down // 2, down - down // 2)))
    return torch.cat(padded, dim=1)


def unit_length(x: Tensor, eps: float) -> Tensor:
    """x / sqrt(sum x² + eps), Torch7's ``nn.Normalize(2)``; eps is under the root."""
    return x * torch.rsqrt(x.square().sum(dim=1, keepdim=True) + eps)


def sqrt(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0, not infinite: a pool after ReLU is often 0.

    0 becomes 1e-19, the root of the smallest normal number, which no later sum notices.
    """
    return x.clamp_min(_TINY).sqrt()


def rows(x: Tensor, width: int) -> Tensor:
    """Maps (N, C, H, W) as lists (N, H * W * C / width, width): place by place, row by row."""
    places = x.shape[1:].numel() // width
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], places, width)


def upsample_like(x: Tensor, other: Tensor) -> Tensor:
    """The nearest pixels of ``x`` in the height and width of another value."""
    return F.interpolate(x, size=other.shape[2:])


MODULES: dict[str, Callable[..., nn.Module]] = {
    "conv": nn.Conv2d,
    "batch_norm": BatchNorm,
    "prelu": nn.PReLU,
    "linear": nn.Linear,
    "dropout": nn.Dropout,
    "layer_norm": LayerNorm,
    "constant": Constant,
}
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "clip": torch.clamp,
    "sigmoid": torch.sigmoid,
    "square": torch.square,
    "sqrt": sqrt,
    "flatten": lambda x: torch.flatten(x, 1),
    "reshape": lambda x, shape: x.reshape(x.shape[0], *shape),
    "rows": rows,
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "add_scalar": lambda x, value: x + value,
    "mul_scalar": lambda x, value: x * value,
    "reciprocal": torch.reciprocal,
    "sum_channels": lambda x: x.sum(dim=1, keepdim=True),
    "pad": lambda x, pad: F.pad(x, pad),
    "concat": lambda *xs: torch.cat(xs, dim=1),
    "depth_concat": lambda *xs: depth_concat(xs),
    "slice_channels": lambda x, start, stop: x[:, start:stop],
    "max_pool": F.max_pool2d,
    "avg_pool": F.avg_pool2d,
    "upsample": lambda x, factors: F.interpolate(x, scale_factor=factors),
    "upsample_like": upsample_like,
    "global_avg_pool": lambda x: x.mean(dim=(2, 3), keepdim=True),
    # By its name, so that a tracer can put itself in its place; so with depth_concat.
    "local_response_norm": lambda x, **options: local_response_norm(x, **options),
    "normalize": unit_length,
    "sub": lambda x, y: x - y,
    "div": lambda x, y: x / y,
    "maximum": lambda x, y: torch.maximum(x, y),
    "abs": torch.abs,
    "exp": torch.exp,
    "erf": torch.erf,
    "tanh": torch.tanh,
    "gelu": lambda x: F.gelu(x),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hard_swish": lambda x: F.hardswish(x),
    "matmul": lambda x, y: torch.matmul(x, y),
    "softmax": lambda x, dim: torch.softmax(x, dim=dim),
    "reduce_mean": lambda x, dim, keepdim: x.mean(dim=dim, keepdim=keepdim),
    "reduce_sum": lambda x, dim, keepdim: x.sum(dim=dim, keepdim=keepdim),
    "reduce_l2": lambda x, dim, keepdim: x.square().sum(dim=dim, keepdim=keepdim).sqrt(),
    "permute": lambda x, dims: x.permute(*dims),
    "view": lambda x, shape: x.reshape(*shape),
    "expand": lambda x, shape: x.expand(*shape),
    "per_face": lambda x, faces, shape: x.expand(faces.shape[0], *shape),
    "select": lambda x, dim, index: x.select(dim, index),
    "slice": lambda x, dim, start, stop, step: x[
        (slice(None),) * dim + (slice(start, stop, step),)
    ],
    "pick": lambda x, dim, places: torch.stack([x.select(dim, n) for n in places], dim=dim),
    "flip": lambda x, dim: x.flip(dim),
    "concat_along": lambda *xs, dim: torch.cat(xs, dim=dim),
}


class Graph(nn.Module):
    """Runs the nodes in the order given; each node's inputs come before it.

    The constructor allocates nothing when called under ``torch.device("meta")``; use
    :func:`build_graph` or :func:`build_maps` to put tensors in.

    Args:
        nodes: in running order.
        outputs: names of the nodes whose values are wanted.

    Raises:
        WeightsError: the list is not a runnable graph.
    """

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[str]) -> None:
        super().__init__()
        self.nodes = tuple(nodes)
        self.outputs = tuple(outputs)
        self.layers = nn.ModuleDict()
        known = {INPUT}
        for node in self.nodes:
            if not _NAME.fullmatch(node.name) or node.name in known:
                raise WeightsError(f"graph: {node.name!r} is not a fresh name for a layer")
            for name in node.inputs:
                if name not in known:
                    raise WeightsError(f"graph: {node.name} uses {name!r} before it exists")
            known.add(node.name)
            if node.op in MODULES:
                try:
                    self.layers[node.name] = MODULES[node.op](**node.attributes)
                except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
                    raise WeightsError(
                        f"graph: {node.name} ({node.op}): {one_line(error)}"
                    ) from error
            elif node.op not in FUNCTIONS:
                raise WeightsError(f"graph: {node.name} is of unknown kind {node.op!r}")
        if not self.nodes:
            raise WeightsError("graph: no layers")
        self._last_use = self._find_last_uses()

    def _find_last_uses(self) -> list[tuple[str, ...]]:
        """Per node, the values no later node needs, so that memory is freed as the pass goes."""
        seen = set(self.outputs)
        released: list[tuple[str, ...]] = []
        for node in reversed(self.nodes):
            free = tuple(name for name in dict.fromkeys(node.inputs) if name not in seen)
            seen.update(free)
            released.append(free)
        return released[::-1]

    def run(self, x: Tensor) -> tuple[Tensor, ...]:
        """The values of the outputs for inputs (N, C, H, W)."""
        values = {INPUT: x}
        for node, free in zip(self.nodes, self._last_use, strict=True):
            values[node.name] = self._step(node, values)
            for name in free:
                del values[name]
        return tuple(values[name] for name in self.outputs)

    def _step(self, node: Node, values: Mapping[str, Tensor]) -> Tensor:
        """The value of a node."""
        inputs = [values[name] for name in node.inputs]
        if node.op in MODULES:
            made: Tensor = self.layers[node.name](*inputs)
            return made
        return FUNCTIONS[node.op](*inputs, **node.attributes)

    @torch.no_grad()
    def layer_shapes(self, shape: tuple[int, int, int]) -> list[tuple[int, ...]]:
        """What each node gives for one input (C, H, W), the batch left out; nothing is computed.

        Raises:
            WeightsError: a node reshapes to another number of values, which PyTorch does not
                notice in a batch of no faces.
        """
        values = {INPUT: torch.empty(0, *shape)}
        for node in self.nodes:
            values[node.name] = self._step(node, values)
            given, made = (values[name].shape[1:] for name in (*node.inputs[:1], node.name))
            if node.op == "reshape" and given.numel() != made.numel():
                raise WeightsError(f"{node.name}: reshapes {tuple(given)} to {tuple(made)}")
        return [tuple(values[node.name].shape[1:]) for node in self.nodes]


class GraphNetwork(Graph, EmbeddingNetwork):
    """A graph whose last node gives the embeddings."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__(nodes, [node.name for node in nodes[-1:]])

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D) of inputs (N, C, H, W)."""
        return self.run(x)[0]


class MapNetwork(Graph):
    """A graph with several results, as detectors are."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in their order, of inputs (N, C, H, W)."""
        return self.run(x)


def build_graph(nodes: Sequence[Node], tensors: Mapping[str, Tensor]) -> GraphNetwork:
    """A graph network around the given tensors, which are used as they are, not copied.

    Args:
        nodes: in running order.
        tensors: ``<node name>.<weight, bias, running_mean, running_var>``.

    Raises:
        WeightsError: the nodes do not form a network or the tensors do not fit it.
    """
    with torch.device("meta"):
        network = GraphNetwork(nodes)
    _put_in(network, tensors)
    network.info = NetworkInfo(options={"nodes": [node.as_list() for node in network.nodes]})
    return network.eval()


def cut(network: GraphNetwork, output: str) -> GraphNetwork:
    """The part of a network that makes the values of one of its layers.

    Args:
        network: in eval mode; the part shares its tensors.
        output: the layer's name.

    Raises:
        UsageError: there is no such layer.
    """
    names = [node.name for node in network.nodes]
    if output not in names:
        near = get_close_matches(output, names, 5) or names[-5:]
        raise UsageError(f"there is no layer {output!r}; near are {', '.join(near)}")
    needed = {output}
    nodes = []
    for node in network.nodes[names.index(output) :: -1]:
        if node.name in needed:
            needed.update(node.inputs)
            nodes.append(node)
    kept = {f"layers.{name}." for name in needed}
    tensors = {
        name.removeprefix("layers."): tensor
        for name, tensor in network.state_dict().items()
        if name[: name.rindex(".") + 1] in kept
    }
    part = build_graph(nodes[::-1], tensors)
    part.info = replace(network.info, options=part.info.options, architecture=CUSTOM)
    return part


def build_maps(
    nodes: Sequence[Node], tensors: Mapping[str, Tensor], outputs: Sequence[str]
) -> MapNetwork:
    """The same for a graph with several results.

    Args:
        nodes: in running order.
        tensors: ``<node name>.<weight, bias, running_mean, running_var>``.
        outputs: names of the nodes whose values are wanted.

    Raises:
        WeightsError: the nodes do not form a network or the tensors do not fit it.
    """
    with torch.device("meta"):
        network = MapNetwork(nodes, outputs)
    _put_in(network, tensors)
    return network.eval()


def _put_in(network: Graph, tensors: Mapping[str, Tensor]) -> None:
    state = {f"layers.{name}": tensor for name, tensor in tensors.items()}
    for name in network.state_dict():
        if name.endswith(".num_batches_tracked"):
            state.setdefault(name, torch.zeros((), dtype=torch.int64))
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()
        raise WeightsError("weights do not fit their network: " + " ".join(first[1:3])) from error
