"""Reader for MXNet checkpoints: ``prefix-0000.params`` beside ``prefix-symbol.json``.

The layers' meanings and defaults are those of MXNet's ``src/operator``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96, Crop, Recipe
from facetool.errors import WeightsError
from facetool.networks.graph import INPUT, GraphNetwork
from facetool.weights.readers.lowering import Array, GraphBuilder
from facetool.weights.readers.mxnet_files import (
    SymbolNode,
    read_params,
    read_symbol,
    symbol_path,
)


def load(path: Path, output: str = "") -> GraphNetwork:
    """Read a network with its weights.

    Where the symbol has a node ``fc1``, the network ends there, as InsightFace's own tools cut
    it; what a training checkpoint holds beyond it is not read. ``fix_gamma`` means what it means
    in MXNet: the stored scale of such a batch normalisation does not count.

    Args:
        path: the ``.params`` file; its symbol lies beside it.
        output: the node whose values are the embedding, instead of ``fc1``.

    Returns:
        The network in eval mode. Its input is RGB 0…255: the scaling is among its nodes.

    Raises:
        FormatError: one of the files is damaged or of another kind.
        WeightsError: the symbol is missing, has an operation that is not supported, or does not
            fit the weights.
    """
    symbol = symbol_path(path)
    if not symbol.is_file():
        raise WeightsError(f"{path}: its symbol is missing; put it at {symbol}")
    nodes, last = read_symbol(symbol, output)
    reader = _SymbolReader(path, nodes, read_params(path))
    try:
        network, crop = reader.network(last)
    except WeightsError as error:
        raise WeightsError(f"{symbol}: {error}") from None
    network.info = replace(network.info, recipe=Recipe(crop))
    return network


class _SymbolReader:
    """Lowers the nodes an output depends on."""

    def __init__(self, path: Path, nodes: Sequence[SymbolNode], params: dict[str, Array]) -> None:
        self.builder = GraphBuilder(path)
        self.nodes = nodes
        self.params = params
        self._values: dict[int, str] = {}  # node numbers to names in the graph being built
        self._input = ""

    def network(self, output: int) -> tuple[GraphNetwork, Crop]:
        """Lower everything up to a node; the network and the crop it takes."""
        for number in self._ancestors(output):
            node = self.nodes[number]
            if node.op == "null":
                continue
            if node.op not in _OPERATORS:
                raise WeightsError(f"node {node.name!r} is of unsupported kind {node.op!r}")
            try:
                self._values[number] = _OPERATORS[node.op](self, node)
            except WeightsError as error:
                raise WeightsError(f"node {node.name!r} ({node.op}): {error}") from None
        if output not in self._values:
            raise WeightsError("the output is not a layer")
        return self.builder.network(self._values[output], (ARCFACE_112, ARCFACE_112X96))

    def _ancestors(self, output: int) -> Iterable[int]:
        needed = {output}
        for number in range(output, -1, -1):
            if number in needed:
                needed.update(source for source, _ in self.nodes[number].inputs)
        return sorted(needed)

    def data(self, node: SymbolNode, index: int = 0) -> str:
        """The graph's name for what flows into a node."""
        if index >= len(node.inputs):
            raise WeightsError(f"input {index} is missing")
        source, output = node.inputs[index]
        if output:
            raise WeightsError(f"uses output {output} of {self.nodes[source].name!r}")
        if source in self._values:
            return self._values[source]
        name = self.nodes[source].name
        if name in self.params or self._input not in ("", name):
            raise WeightsError(f"the variable {name!r} stands where the image belongs")
        self._input = name
        return INPUT

    def all_data(self, node: SymbolNode) -> list[str]:
        """What flows into all of a node's inputs."""
        return [self.data(node, index) for index in range(len(node.inputs))]

    def param(self, node: SymbolNode, index: int, implied: str) -> Array:
        """A node's weights; symbols from before 0.9 leave auxiliary states to their names."""
        name = f"{node.name}_{implied}"
        if index < len(node.inputs):
            name = self.nodes[node.inputs[index][0]].name
        if name not in self.params:
            raise WeightsError(f"{self.builder.path.name} has no {name!r}")
        return self.params[name]


def _convolution(reader: _SymbolReader, node: SymbolNode) -> str:
    weight, kernel = reader.param(node, 1, "weight"), node.pair("kernel")
    if list(weight.shape[2:]) != kernel:
        raise WeightsError(f"a kernel {kernel} with a weight of shape {weight.shape}")
    return reader.builder.conv(
        node.name,
        reader.data(node),
        weight,
        None if node.flag("no_bias", False) else reader.param(node, 2, "bias"),
        stride=node.pair("stride", (1, 1)),
        padding=node.pair("pad", (0, 0)),
        dilation=node.pair("dilate", (1, 1)),
        groups=node.integer("num_group", 1),
    )


def _batch_norm(reader: _SymbolReader, node: SymbolNode) -> str:
    if node.integer("axis", 1) != 1:
        raise WeightsError("normalises another axis than the channels")
    fixed = node.flag("fix_gamma", True)
    return reader.builder.batch_norm(
        node.name,
        reader.data(node),
        None if fixed else reader.param(node, 1, "gamma"),
        reader.param(node, 2, "beta"),
        reader.param(node, 3, "moving_mean"),
        reader.param(node, 4, "moving_var"),
        eps=node.number("eps", 1e-3),
        momentum=node.number("momentum", 0.9),
    )


def _fully_connected(reader: _SymbolReader, node: SymbolNode) -> str:
    x = reader.data(node)
    if node.flag("flatten", True):
        x = reader.builder.add(f"{node.name}_flatten", "flatten", [x])
    bias = None if node.flag("no_bias", False) else reader.param(node, 2, "bias")
    return reader.builder.linear(node.name, x, reader.param(node, 1, "weight"), bias)


def _leaky_relu(reader: _SymbolReader, node: SymbolNode) -> str:
    kind = node.text("act_type", "leaky")
    x = reader.data(node)
    if kind == "prelu":
        return reader.builder.prelu(node.name, x, reader.param(node, 1, "gamma"))
    if kind == "leaky":
        slope = node.number("slope", 0.25)
        return reader.builder.add(node.name, "leaky_relu", [x], negative_slope=slope)
    raise WeightsError(f"unsupported act_type {kind!r}")


def _activation(reader: _SymbolReader, node: SymbolNode) -> str:
    kind = node.text("act_type", "")
    if kind not in ("relu", "sigmoid"):
        raise WeightsError(f"unsupported act_type {kind!r}")
    return reader.builder.add(node.name, kind, [reader.data(node)])


def _pooling(reader: _SymbolReader, node: SymbolNode) -> str:
    kind = node.text("pool_type", "max")
    whole = node.flag("global_pool", False)
    rounding = node.text("pooling_convention", "valid")
    if kind not in ("max", "avg") or (kind, whole) == ("max", True):
        raise WeightsError(f"unsupported pool_type {kind!r}{' over the whole map' * whole}")
    if rounding not in ("valid", "full"):
        raise WeightsError(f"unsupported pooling_convention {rounding!r}")
    x = reader.data(node)
    if whole:
        return reader.builder.add(node.name, "global_avg_pool", [x])
    attributes: dict[str, Any] = {
        "kernel_size": node.pair("kernel"),
        "stride": node.pair("stride", (1, 1)),
        "padding": node.pair("pad", (0, 0)),
        "ceil_mode": rounding == "full",
    }
    if kind == "avg":
        attributes["count_include_pad"] = node.flag("count_include_pad", True)
    return reader.builder.add(node.name, f"{kind}_pool", [x], **attributes)


def _dropout(reader: _SymbolReader, node: SymbolNode) -> str:
    return reader.builder.add(node.name, "dropout", [reader.data(node)], p=node.number("p", 0.5))


def _identity(reader: _SymbolReader, node: SymbolNode) -> str:
    return reader.builder.add(node.name, "identity", [reader.data(node)])


def _cast(reader: _SymbolReader, node: SymbolNode) -> str:
    """Networks trained in half precision cast on the way in and out; here all is float32."""
    if not node.text("dtype", "").startswith("float"):
        raise WeightsError(f"a cast to {node.text('dtype', '')!r}")
    return _identity(reader, node)


def _flatten(reader: _SymbolReader, node: SymbolNode) -> str:
    return reader.builder.add(node.name, "flatten", [reader.data(node)])


def _add(reader: _SymbolReader, node: SymbolNode) -> str:
    return reader.builder.sum(node.name, reader.all_data(node))


def _subtract(reader: _SymbolReader, node: SymbolNode) -> str:
    negative = reader.builder.negative(node.name, reader.data(node, 1))
    return reader.builder.add(node.name, "add", [reader.data(node), negative])


def _multiply(reader: _SymbolReader, node: SymbolNode) -> str:
    return reader.builder.add(node.name, "mul", [reader.data(node), reader.data(node, 1)])


def _add_scalar(reader: _SymbolReader, node: SymbolNode) -> str:
    value = node.number("scalar")
    return reader.builder.add(node.name, "add_scalar", [reader.data(node)], value=value)


def _subtract_scalar(reader: _SymbolReader, node: SymbolNode) -> str:
    value = -node.number("scalar")
    return reader.builder.add(node.name, "add_scalar", [reader.data(node)], value=value)


def _subtract_from_scalar(reader: _SymbolReader, node: SymbolNode) -> str:
    negative = reader.builder.negative(node.name, reader.data(node))
    value = node.number("scalar")
    return reader.builder.add(node.name, "add_scalar", [negative], value=value)


def _multiply_scalar(reader: _SymbolReader, node: SymbolNode) -> str:
    value = node.number("scalar")
    return reader.builder.add(node.name, "mul_scalar", [reader.data(node)], value=value)


def _divide_scalar(reader: _SymbolReader, node: SymbolNode) -> str:
    divisor = node.number("scalar")
    if not divisor:
        raise WeightsError("a division by 0")
    return reader.builder.add(node.name, "mul_scalar", [reader.data(node)], value=1 / divisor)


def _clip(reader: _SymbolReader, node: SymbolNode) -> str:
    low, high = node.number("a_min"), node.number("a_max")
    return reader.builder.add(node.name, "clip", [reader.data(node)], min=low, max=high)


def _concat(reader: _SymbolReader, node: SymbolNode) -> str:
    if node.integer("dim", 1) != 1:
        raise WeightsError("joins another axis than the channels")
    return reader.builder.add(node.name, "concat", reader.all_data(node))


def _slice_axis(reader: _SymbolReader, node: SymbolNode) -> str:
    if node.integer("axis", 0) != 1:
        raise WeightsError("cuts another axis than the channels")
    start, stop = node.integer("begin", 0), node.optional_integer("end")
    x = reader.data(node)
    return reader.builder.add(node.name, "slice_channels", [x], start=start, stop=stop)


_Operator = Callable[[_SymbolReader, SymbolNode], str]

_BY_FUNCTION: dict[_Operator, tuple[str, ...]] = {
    _convolution: ("Convolution", "Convolution_v1"),
    _batch_norm: ("BatchNorm", "BatchNorm_v1", "CuDNNBatchNorm"),
    _fully_connected: ("FullyConnected",),
    _leaky_relu: ("LeakyReLU",),
    _activation: ("Activation",),
    _pooling: ("Pooling", "Pooling_v1"),
    _dropout: ("Dropout",),
    _identity: ("_copy", "identity", "BlockGrad"),
    _cast: ("Cast", "cast", "amp_cast"),
    _flatten: ("Flatten", "flatten"),
    _add: (
        *("elemwise_add", "_plus", "_Plus", "_add", "broadcast_add", "broadcast_plus"),
        *("add_n", "ElementWiseSum", "_grad_add"),
    ),
    _subtract: ("elemwise_sub", "_minus", "_Minus", "_sub", "broadcast_sub", "broadcast_minus"),
    _multiply: ("elemwise_mul", "_mul", "_Mul", "broadcast_mul"),
    _add_scalar: ("_plus_scalar", "_PlusScalar"),
    _subtract_scalar: ("_minus_scalar", "_MinusScalar"),
    _subtract_from_scalar: ("_rminus_scalar", "_RMinusScalar"),
    _multiply_scalar: ("_mul_scalar", "_MulScalar"),
    _divide_scalar: ("_div_scalar", "_DivScalar"),
    _clip: ("clip",),
    _concat: ("Concat", "concat"),
    _slice_axis: ("slice_axis",),
}
_OPERATORS = {name: function for function, names in _BY_FUNCTION.items() for name in names}
