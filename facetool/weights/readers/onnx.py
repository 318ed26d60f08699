"""Reader for ONNX files of face networks, among them those that onnxruntime refuses.

Supported are the exports of InsightFace's networks by every MXNet from 1.3 to 1.9, whose
mistakes are read as what was meant, and plain PyTorch exports of arcface_torch's iresnet:

- ``BatchNormalization`` with ``spatial=0`` and one value per channel works per channel;
- PReLU slopes of shape (C,), (C, 1, 1) and (1, C, 1, 1) are one per channel;
- a fully connected layer (``Gemm``) flattens its input, whether or not ``Flatten`` stands before
  it and whatever axis that names;
- a batch fixed at 1 becomes any batch.

Face detectors are graphs with several outputs (:func:`load_maps`): a map's last steps, which turn
it into a list of places, keep the photos of a batch apart, whatever order the file gives the axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96, Crop, Recipe
from facetool.alignment.stated_recipe import PARTS
from facetool.errors import FormatError, WeightsError
from facetool.files.json_file import parse_json
from facetool.networks.base import CUSTOM
from facetool.networks.engine import EngineNetwork
from facetool.networks.graph import INPUT, GraphNetwork, MapNetwork
from facetool.networks.graph import Node as Step
from facetool.networks.pair_threshold import PairThreshold
from facetool.networks.registry import ARCHITECTURES, stated_unit_length
from facetool.weights.readers.lowering import Array, GraphBuilder, identifier, small_integer
from facetool.weights.readers.onnx_engine import FLOAT_FILE, load_quantised, quantised_by
from facetool.weights.readers.onnx_file import Tensor, read_onnx, small_array
from facetool.weights.readers.onnx_general import channels_last, lower
from facetool.weights.readers.recognize import POOLINGS

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

EMBEDDING = "fc1"
_LARGEST_INPUT = 4096  # pixels of an edge

METADATA_KEY = "facetool"
"""Key in a model's metadata of what :mod:`facetool.weights.onnx_export` says about it."""


def load(path: Path, output: str = "") -> GraphNetwork | EngineNetwork:
    """Read a network with its weights.

    A recipe in the model's metadata is the network's. Without one, and where the input is declared
    to be of the size of ArcFace's crops or of no size, such crops are assumed: RGB 0…255 where the
    graph scales its input itself (as MXNet's exports do), (RGB - 127.5) / 127.5 where it does not
    (as arcface_torch's). A network that declares another size has no recipe.

    Args:
        path: the ``.onnx`` file. Weights beside it in a file of their own are read as well.
        output: the layer whose values are the embedding, by the name of its result.

    Returns:
        The network in eval mode. Every scale of a batch normalisation is the one in the file:
        MXNet's ``fix_gamma`` leaves no trace in ONNX.

    Raises:
        FormatError: the file is damaged or of another kind.
        WeightsError: it is quantised, or has an operation that is not supported.
    """
    model, tensors = read_onnx(path)
    try:
        last = _layer(model.graph, output) if output else _embedding(model.graph)
        stated = _stated_info(model)
        declared = _declared_size(model.graph, tensors)
        crops: tuple[Crop, ...] = (ARCFACE_112, ARCFACE_112X96)
        if stated is not None:
            crops = (stated.recipe.crop,)
        elif declared is not None:
            crops = tuple(crop for crop in crops if (crop.height, crop.width) == declared) or (
                replace(ARCFACE_112, height=declared[0], width=declared[1]),
            )
        network, crop = _network(path, model, tensors, last, crops)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: a name in it is damaged: {error}") from None
    info = replace(network.info, input_size=declared)
    if stated is not None:
        info = replace(info, **stated._asdict())
    elif crop in (ARCFACE_112, ARCFACE_112X96):
        info = replace(info, recipe=_assumed_recipe(network, crop), assumed=PARTS)
        if _as_insightface(network):
            info = replace(info, assumed=())
    network.info = info
    return network


def _declared_size(graph: GraphProto, tensors: dict[str, Tensor]) -> tuple[int, int] | None:
    """Height and width of the input, where the file fixes both."""
    for value in graph.input:
        if value.name not in tensors:
            sizes = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            if channels_last(sizes):
                sizes = [sizes[0], sizes[3], sizes[1], sizes[2]]
            if len(sizes) == 4 and 0 < sizes[2] <= _LARGEST_INPUT >= sizes[3] > 0:
                return sizes[2], sizes[3]
    return None


def _network(
    path: Path, model: ModelProto, tensors: dict[str, Tensor], last: str, crops: Sequence[Crop]
) -> tuple[GraphNetwork | EngineNetwork, Crop]:
    """The network as exporters of convolutional ones mean it, or else as the standard says."""
    graph = model.graph
    if operation := quantised_by(graph):
        _refuse_external(tensors)
        size = (crops[0].height, crops[0].width)
        return load_quantised(path, operation, last, size), crops[0]
    try:
        return _GraphReader(path, graph, tensors, [last]).network(crops)
    except (RecursionError, WeightsError) as error:
        problem = error
    opset = max((one.version for one in model.opset_import if not one.domain), default=1)
    for crop in crops:
        shape = (_channels(graph, tensors), crop.height, crop.width)
        try:
            return lower(path, graph, tensors, last, shape, opset), crop
        except WeightsError as error:
            general = error
    # What is wrong with a network of the usual kind, the reader that knows the kind says better.
    raise general if "unsupported kind" in str(problem) else problem


def _refuse_external(tensors: dict[str, Tensor]) -> None:
    if any(tensor.external for tensor in tensors.values()):
        raise WeightsError("a quantised network with its weights in another file, which is not run")


def _channels(graph: GraphProto, tensors: dict[str, Tensor]) -> int:
    """1 where the input is declared to be gray, else 3."""
    for value in graph.input:
        if value.name not in tensors:
            sizes = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            return 1 if sizes[3 if channels_last(sizes) else 1 :][:1] == [1] else 3
    return 3


def _assumed_recipe(network: GraphNetwork | EngineNetwork, crop: Crop) -> Recipe:
    """Pixels 0…255 where the graph scales them itself, else arcface_torch's scaling."""
    if isinstance(network, EngineNetwork) or _scales_input(network):
        return Recipe(crop)
    return Recipe(crop, mean=127.5, scale=1 / 127.5)


def load_maps(path: Path) -> tuple[MapNetwork, list[str]]:
    """Read a network with several outputs, such as a face detector, with its weights.

    Args:
        path: the ``.onnx`` file.

    Returns:
        The network in eval mode, and the names the file gives its outputs. An output that is a
        list of places has the shape (N, places, values), also where the file joins a batch.

    Raises:
        FormatError: the file is damaged or of another kind.
        WeightsError: it is quantised, or has an operation that is not supported.
    """
    model, tensors = read_onnx(path)
    try:
        outputs = [value.name for value in model.graph.output]
        return _GraphReader(path, model.graph, tensors, outputs).maps(), outputs
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: a name in it is damaged: {error}") from None


def _layer(graph: GraphProto, name: str) -> str:
    """The result of that name, or of the name that it has in the network read from the file."""
    results = [str(result) for node in graph.node for result in node.output]
    for result in results:
        if name in (result, identifier(result)):
            return result
    near = get_close_matches(name, results, 5) or results[-5:]
    raise WeightsError(f"there is no layer {name!r}; near are {', '.join(near)}")


def _embedding(graph: GraphProto) -> str:
    """The name of the output that is the embedding."""
    outputs = [value.name for value in graph.output]
    if len(outputs) == 1 or EMBEDDING in outputs:
        return outputs[0] if len(outputs) == 1 else EMBEDDING
    vectors = [str(value.name) for value in graph.output if _is_vector(value)]
    if len(vectors) != 1:
        listed = ", ".join(outputs[:5])
        raise WeightsError(f"has {len(outputs)} outputs ({listed}); say which is the embedding")
    return vectors[0]


def _is_vector(value: ValueInfoProto) -> bool:
    """Whether an output is declared as several numbers a face; AdaFace's length is one."""
    lengths = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
    return len(lengths) == 2 and lengths[1] > 1


class _Stated(NamedTuple):
    """What facetool's metadata say of a network that its graph does not."""

    recipe: Recipe
    unit_length: bool
    assumed: tuple[str, ...]
    threshold: PairThreshold | None
    weights_name: str
    architecture: str
    variant: str


def _known_architecture(description: dict[str, Any]) -> tuple[str, str]:
    """Name and variant: steps of a network may be exported as layers that it does not have."""
    name, variant = description.get("architecture"), description.get("variant")
    if name not in ARCHITECTURES or variant not in ("", *POOLINGS):
        return CUSTOM, ""
    return str(name), str(variant)


def _stated_info(model: ModelProto) -> _Stated | None:
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            try:
                description = parse_json(entry.value, "its metadata")
                recipe = Recipe.from_dict(description["recipe"])
                assumed = description.get("assumed") or ()
                threshold = description.get("threshold")
                return _Stated(
                    recipe,
                    stated_unit_length(description),
                    tuple(part for part in PARTS if part in assumed),
                    threshold and PairThreshold.from_dict(threshold),
                    str(description.get("weights", "")),
                    *_known_architecture(description),
                )
            except (FormatError, LookupError, RecursionError, TypeError, ValueError) as error:
                raise WeightsError(f"its metadata hold no recipe: {error}") from None
    return None


def _as_insightface(network: GraphNetwork | EngineNetwork) -> bool:
    """Whether the input is scaled as in InsightFace's MXNet networks, which all take RGB."""
    if isinstance(network, EngineNetwork):
        return False
    first, second = (*network.nodes, *network.nodes)[:2]
    return (
        (first.op, first.attributes.get("value")) == ("add_scalar", -127.5)
        and first.inputs == (INPUT,)
        and (second.op, second.attributes.get("value")) == ("mul_scalar", 1 / 128)
    )


_SCALING = ("add_scalar", "mul_scalar", "batch_norm", "add", "sub", "mul", "div")
_MOVING = ("identity", "permute", "flip", "slice", "pick", "constant")


def _is_channel_wise(step: Step) -> bool:
    """Whether a step is a factor and a summand for each channel."""
    return (
        step.op == "conv"
        and step.attributes["groups"] == step.attributes["in_channels"]
        and list(step.attributes["kernel_size"]) == [1, 1]
    )


def _scales_input(network: GraphNetwork) -> bool:
    """Whether the input meets a shift, a factor or a batch normalisation before anything else."""
    plain = {INPUT}
    for node in network.nodes:
        if not plain.isdisjoint(node.inputs):
            if node.op in _SCALING or _is_channel_wise(node):
                return True
            if node.op in _MOVING:
                plain.add(node.name)
    return False


class _Node:
    """A node with its attributes as Python values.

    Raises:
        WeightsError: from the methods, where an attribute is of another kind.
    """

    def __init__(self, proto: NodeProto) -> None:
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}:"
        self.op = f"{domain}{proto.op_type}"
        self.inputs = list(proto.input)
        self.outputs = list(proto.output)
        self.name = self.outputs[0] if self.outputs else proto.name
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}

    def integer(self, key: str, default: int) -> int:
        """A whole number."""
        attribute = self._attributes.get(key)
        return default if attribute is None else small_integer(attribute.i)

    def integers(self, key: str, default: Sequence[int] | None = None) -> list[int]:
        """Several whole numbers."""
        attribute = self._attributes.get(key)
        if attribute is None:
            if default is None:
                raise WeightsError(f"has no {key}")
            return list(default)
        return [small_integer(value) for value in attribute.ints]

    def pair(self, key: str, default: Sequence[int] | None = None) -> list[int]:
        """Two whole numbers, for height and width."""
        values = self.integers(key, default)
        if len(values) != 2:
            raise WeightsError(f"{key} {values} is not a pair of numbers")
        return values

    def number(self, key: str, default: float) -> float:
        """A number, as the shortest decimal that is this float32: 2e-05, not 1.99999995e-05."""
        attribute = self._attributes.get(key)
        return default if attribute is None else float(str(np.float32(attribute.f)))

    def text(self, key: str, default: str) -> str:
        """A word."""
        attribute = self._attributes.get(key)
        return default if attribute is None else attribute.s.decode(errors="replace")

    def tensor(self, key: str) -> Array:
        """An array."""
        if key not in self._attributes:
            raise WeightsError(f"has no {key}")
        try:
            return small_array(self._attributes[key].t)
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{key} is damaged: {error}") from None

    def padding(self) -> list[int]:
        """Rows and columns added on each side."""
        if self.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            raise WeightsError("unsupported auto_pad")
        pads = self.integers("pads", (0, 0, 0, 0))
        if len(pads) != 4 or pads[:2] != pads[2:]:
            raise WeightsError(f"unsupported padding {pads}")
        return pads[:2]


class _GraphReader:
    """Lowers the nodes the outputs depend on.

    Every value is a graph node's name, an array known beforehand, a shape computed from another
    value, of which only that value's name is kept, or a map with its channels last, which stands
    for the map it was.
    """

    def __init__(
        self, path: Path, graph: GraphProto, tensors: dict[str, Tensor], outputs: Sequence[str]
    ) -> None:
        self.builder = GraphBuilder(path)
        self.channels_last: dict[str, str] = {}
        self._tensors = tensors
        self._values: dict[str, str] = {}
        self._constants: dict[str, Array] = {}
        self._shapes: dict[str, str] = {}
        self._outputs = list(outputs)
        self._nodes = [_Node(proto) for proto in graph.node]
        inputs = [value.name for value in graph.input if value.name not in tensors]
        if len(inputs) != 1:
            raise WeightsError(f"has {len(inputs)} inputs; a face network has one")
        self._values[inputs[0]] = INPUT

    def network(self, crops: Sequence[Crop]) -> tuple[GraphNetwork, Crop]:
        """Lower everything up to the output; the network and the crop it takes."""
        self._lower_all()
        return self.builder.network(self._values[self._outputs[0]], crops)

    def maps(self) -> MapNetwork:
        """Lower everything up to the outputs."""
        self._lower_all()
        return self.builder.map_network([self._values[output] for output in self._outputs])

    def _lower_all(self) -> None:
        for node in self._nodes:
            if node.op.startswith(("QLinear", "DynamicQuantize", "Quantize", "Dequantize")) or (
                node.op.endswith("Integer")
            ):
                raise WeightsError(
                    f"a quantised network ({node.op}), which is not run; "
                    f"take the float32 file instead, such as {FLOAT_FILE}"
                )
        for node in self._needed():
            try:
                self._lower(node)
            except (OverflowError, ValueError, WeightsError) as error:
                raise WeightsError(f"node {node.name!r} ({node.op}): {error}") from None
        for output in self._outputs:
            if output not in self._values:
                raise WeightsError(f"the output {output!r} is made by no layer")

    def _needed(self) -> list[_Node]:
        wanted = set(self._outputs)
        needed = []
        for node in reversed(self._nodes):
            if not wanted.isdisjoint(node.outputs):
                wanted.update(node.inputs)
                needed.append(node)
        return needed[::-1]

    def _lower(self, node: _Node) -> None:
        if node.name in self._values:  # the sum that a MatMul has taken as its bias
            return
        if node.op == "Constant":
            self._constants[node.name] = node.tensor("value")
        elif node.op == "Shape":
            self._shapes[node.name] = node.inputs[0] if node.inputs else ""
        elif of := self._shape_arithmetic(node):
            self._shapes[node.name] = of
        elif node.op in _ON_CONSTANTS and self._known(node.inputs[0] if node.inputs else ""):
            self._constants[node.name] = _ON_CONSTANTS[node.op](self, node)
        elif node.op in _FOLDED and all(map(self._known, node.inputs)):
            arrays = [self.constant(node, index) for index in range(len(node.inputs))]
            self._constants[node.name] = _FOLDED[node.op](*arrays)
        elif node.op == "Transpose":
            self._transpose(node)
        elif node.op in _OPERATORS:
            self._values[node.name] = _OPERATORS[node.op](self, node)
        else:
            raise WeightsError("unsupported kind of node")

    def _shape_arithmetic(self, node: _Node) -> str:
        """The value whose shape a node calculates with, the last where there are several."""
        inputs = node.inputs if node.op == "Concat" else node.inputs[:1]
        return next((self._shapes[name] for name in inputs[::-1] if name in self._shapes), "")

    def _transpose(self, node: _Node) -> None:
        # (2, 3, 0, 1) is right for a batch of one only: places first, then photos.
        if node.integers("perm", ()) not in ([0, 2, 3, 1], [2, 3, 0, 1]):
            raise WeightsError("only puts of the channels last are supported")
        self.channels_last[node.name] = self.data(node)

    def _known(self, name: str) -> bool:
        return name in self._constants or name in self._tensors

    def is_known(self, node: _Node, index: int) -> bool:
        """Whether an input is known beforehand."""
        return self._known(node.inputs[index])

    def data(self, node: _Node, index: int = 0) -> str:
        """The graph's name for what flows into a node."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self._values:
            raise WeightsError(f"input {index} ({name!r}) is the result of no layer before it")
        return self._values[name]

    def constant(self, node: _Node, index: int) -> Array:
        """An input that is known beforehand."""
        array = self.optional(node, index)
        if array is None:
            raise WeightsError(f"input {index} is missing")
        return array

    def optional(self, node: _Node, index: int) -> Array | None:
        """An input that is known beforehand, or None where it is left out."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if not name:
            return None
        if name in self._constants:
            return self._constants[name]
        if name not in self._tensors:
            raise WeightsError(f"input {index} ({name!r}) is not among the file's tensors")
        return self._tensors[name].array()

    def integers(self, node: _Node, key: str, index: int) -> list[int]:
        """Whole numbers that are an attribute in older files and an input in newer ones."""
        array = self.optional(node, index)
        if array is None:
            return node.integers(key)
        return [small_integer(int(value)) for value in array.ravel().astype("<i8")[:8]]

    def is_computed_shape(self, node: _Node, index: int) -> bool:
        """Whether an input is a shape made from another value's shape."""
        return index < len(node.inputs) and node.inputs[index] in self._shapes

    def shape_of(self, node: _Node, index: int) -> str:
        """The value whose height and width an input holds."""
        name = self._shapes.get(node.inputs[index] if index < len(node.inputs) else "", "")
        if name not in self._values:
            raise WeightsError(f"input {index} is not the shape of a layer's result")
        return self._values[name]

    def scalar(self, node: _Node, index: int) -> float | None:
        """An input that is one known number, or None where it is a layer's result."""
        if not self._known(node.inputs[index]):
            return None
        array = self.constant(node, index)
        if array.size != 1 or not math.isfinite(array.item()):
            raise WeightsError(f"with {array.size} numbers; only one for all is supported")
        return float(array.item())

    def per_channel(self, node: _Node, index: int) -> Array | None:
        """An input that is known and has one number for each channel of a map, else None."""
        if len(node.inputs) <= index or not self._known(node.inputs[index]):
            return None
        array = self.constant(node, index)
        if array.size > 1 and array.ndim in (3, 4) and array.shape[-3:] == (array.size, 1, 1):
            return array.reshape(-1)
        return None

    def bias_after(self, node: _Node, length: int) -> tuple[Array | None, list[str]]:
        """The vector that the only consumer of a node's output adds to it, if one does.

        Returns:
            The vector, and the names of all that is then the node's output.
        """
        consumers = [other for other in self._nodes if node.name in other.inputs]
        if [consumer.op for consumer in consumers] == ["Add"] and node.name not in self._outputs:
            others = [name for name in consumers[0].inputs if name != node.name]
            if len(others) == 1 and self._known(others[0]):
                bias = self.constant(consumers[0], consumers[0].inputs.index(others[0]))
                if bias.size == length:
                    return bias.reshape(-1), [node.name, consumers[0].name]
        return None, [node.name]

    def name_value(self, names: Sequence[str], value: str) -> None:
        """Let several of the file's names stand for one node of the graph being built."""
        self._values.update(dict.fromkeys(names, value))


def _conv(reader: _GraphReader, node: _Node) -> str:
    weight = reader.constant(node, 1)
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


def _batch_norm(reader: _GraphReader, node: _Node) -> str:
    arrays = [reader.constant(node, index) for index in range(1, 5)]
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


def _prelu(reader: _GraphReader, node: _Node) -> str:
    slope = reader.constant(node, 1)
    shape = list(slope.shape)
    if shape[:1] == [1] and len(shape) in (2, 4):
        shape = shape[1:]
    if any(length != 1 for length in shape[1:]):
        raise WeightsError(f"slopes of shape {slope.shape}, which is not one per channel")
    return reader.builder.prelu(node.name, reader.data(node), slope)


def _gemm(reader: _GraphReader, node: _Node) -> str:
    if node.integer("transA", 0) or (node.number("alpha", 1), node.number("beta", 1)) != (1, 1):
        raise WeightsError("unsupported transA, alpha or beta")
    weight, bias = reader.constant(node, 1), reader.optional(node, 2)
    if not node.integer("transB", 0):
        weight = weight.T
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), weight.shape[:1])
    x = reader.builder.add(f"{node.name}_flatten", "flatten", [reader.data(node)])
    return reader.builder.linear(node.name, x, weight, bias)


def _matmul(reader: _GraphReader, node: _Node) -> str:
    weight = reader.constant(node, 1).T
    bias, names = reader.bias_after(node, weight.shape[0] if weight.ndim else 0)
    value = reader.builder.linear(node.name, reader.data(node), weight, bias)
    reader.name_value(names, value)
    return value


def _flatten(reader: _GraphReader, node: _Node) -> str:
    # -1 is a mistake of MXNet 1.9's exporter, which means everything but the batch.
    if node.integer("axis", 1) not in (1, -1):
        raise WeightsError("unsupported axis")
    return reader.builder.add(node.name, "flatten", [reader.data(node)])


def _reshape(reader: _GraphReader, node: _Node) -> str:
    """Two dimensions are flattening; so is a computed shape, around a fully connected layer.

    A map with its channels last becomes a list of places.
    """
    if node.inputs and node.inputs[0] in reader.channels_last:
        return _rows(reader, node, reader.channels_last[node.inputs[0]])
    if not reader.is_computed_shape(node, 1):
        shape = reader.integers(node, "shape", 1)
        if len(shape) != 2 or shape[0] not in (-1, 0, 1):
            raise WeightsError(f"unsupported shape {shape}")
    return reader.builder.add(node.name, "flatten", [reader.data(node)])


def _rows(reader: _GraphReader, node: _Node, x: str) -> str:
    shape = reader.integers(node, "shape", 1)
    if len(shape) not in (2, 3) or shape[-1] < 1 or -1 not in shape[:-1]:
        raise WeightsError(f"unsupported shape {shape}")
    return reader.builder.add(node.name, "rows", [x], width=shape[-1])


def _resize(reader: _GraphReader, node: _Node) -> str:
    """Enlargement to the nearest pixel, by whole factors or to the size of another map."""
    if node.text("mode", "nearest") != "nearest":
        raise WeightsError("only the nearest pixel is supported")
    x = reader.data(node)
    if node.op == "Resize" and len(node.inputs) > 3:
        if node.text("coordinate_transformation_mode", "half_pixel") != "asymmetric" or (
            node.text("nearest_mode", "round_prefer_floor") != "floor"
        ):
            raise WeightsError("unsupported choice of the nearest pixel")
        return reader.builder.add(node.name, "upsample_like", [x, reader.shape_of(node, 3)])
    scales = reader.constant(node, len(node.inputs) - 1).ravel().tolist()
    if len(scales) != 4 or scales[:2] != [1, 1] or not all(s in (1, 2, 4, 8) for s in scales[2:]):
        raise WeightsError(f"unsupported factors {scales[:8]}")
    return reader.builder.add(node.name, "upsample", [x], factors=scales[2:])


def _dropout(reader: _GraphReader, node: _Node) -> str:
    ratio = reader.optional(node, 1)
    p = node.number("ratio", 0.5) if ratio is None else float(str(np.float32(ratio.item())))
    return reader.builder.add(node.name, "dropout", [reader.data(node)], p=p)


def _plain(op: str) -> _Operator:
    def lower(reader: _GraphReader, node: _Node) -> str:
        return reader.builder.add(node.name, op, [reader.data(node)])

    return lower


def _leaky_relu(reader: _GraphReader, node: _Node) -> str:
    slope = node.number("alpha", 0.01)
    return reader.builder.add(node.name, "leaky_relu", [reader.data(node)], negative_slope=slope)


def _clip(reader: _GraphReader, node: _Node) -> str:
    bounds: list[float | None] = []
    for index, key in enumerate(("min", "max"), start=1):
        array = reader.optional(node, index)
        default = math.inf if key == "max" else -math.inf
        bounds.append(node.number(key, default) if array is None else reader.scalar(node, index))
    low, high = bounds
    return reader.builder.add(node.name, "clip", [reader.data(node)], min=low, max=high)


def _pool(reader: _GraphReader, node: _Node) -> str:
    if node.pair("dilations", (1, 1)) != [1, 1]:
        raise WeightsError("unsupported dilations")
    attributes: dict[str, Any] = {
        "kernel_size": node.pair("kernel_shape"),
        "stride": node.pair("strides", (1, 1)),
        "padding": node.padding(),
        "ceil_mode": bool(node.integer("ceil_mode", 0)),
    }
    op = "max_pool"
    if node.op == "AveragePool":
        op = "avg_pool"
        attributes["count_include_pad"] = bool(node.integer("count_include_pad", 0))
    return reader.builder.add(node.name, op, [reader.data(node)], **attributes)


def _concat(reader: _GraphReader, node: _Node) -> str:
    if node.integer("axis", 1) != 1:
        raise WeightsError("joins another axis than the channels")
    inputs = [reader.data(node, index) for index in range(len(node.inputs))]
    return reader.builder.add(node.name, "concat", inputs)


def _slice(reader: _GraphReader, node: _Node) -> str:
    starts, ends = reader.integers(node, "starts", 1), reader.integers(node, "ends", 2)
    steps = reader.optional(node, 4)
    if reader.integers(node, "axes", 3) != [1] or len(starts) != 1 or len(ends) != 1:
        raise WeightsError("cuts another axis than the channels")
    if steps is not None and steps.tolist() != [1]:
        raise WeightsError("unsupported steps")
    x = reader.data(node)
    return reader.builder.add(node.name, "slice_channels", [x], start=starts[0], stop=ends[0])


def _add(reader: _GraphReader, node: _Node) -> str:
    return _shifted(reader, node, 1.0)


def _subtract(reader: _GraphReader, node: _Node) -> str:
    return _shifted(reader, node, -1.0)


def _shifted(reader: _GraphReader, node: _Node, sign: float) -> str:
    """First input + sign * second."""
    _check_two(node)
    for index, other in ((1, 0), (0, 1)):
        shift = reader.per_channel(node, index)
        if shift is not None:
            factors = (1.0, sign) if index == 1 else (sign, 1.0)
            weight = np.full(shift.shape, factors[0], np.float32)
            return _channel_wise(reader, node, other, weight, factors[1] * shift)
    left, right = reader.scalar(node, 0), reader.scalar(node, 1)
    builder = reader.builder
    if right is not None:
        return builder.add(node.name, "add_scalar", [reader.data(node)], value=sign * right)
    second = reader.data(node, 1)
    if sign < 0:
        second = builder.negative(node.name, second)
    if left is not None:
        return builder.add(node.name, "add_scalar", [second], value=left)
    return builder.add(node.name, "add", [reader.data(node), second])


def _multiply(reader: _GraphReader, node: _Node) -> str:
    _check_two(node)
    for index in (0, 1):
        weight = reader.per_channel(node, index)
        if weight is not None:
            return _channel_wise(reader, node, 1 - index, weight, None)
        factor = reader.scalar(node, index)
        if factor is not None:
            x = reader.data(node, 1 - index)
            return reader.builder.add(node.name, "mul_scalar", [x], value=factor)
    return reader.builder.add(node.name, "mul", [reader.data(node), reader.data(node, 1)])


def _channel_wise(
    reader: _GraphReader, node: _Node, index: int, weight: Array, bias: Array | None
) -> str:
    """A factor and a summand for each channel of a map, as a convolution of each by itself."""
    return reader.builder.conv(
        node.name,
        reader.data(node, index),
        weight.reshape(-1, 1, 1, 1),
        bias,
        stride=(1, 1),
        padding=(0, 0),
        dilation=(1, 1),
        groups=weight.size,
    )


def _local_response_norm(reader: _GraphReader, node: _Node) -> str:
    return reader.builder.add(
        node.name,
        "local_response_norm",
        [reader.data(node)],
        size=node.integer("size", 0),
        alpha=node.number("alpha", 1e-4),
        beta=node.number("beta", 0.75),
        k=node.number("bias", 1.0),
    )


def _reduce_mean(reader: _GraphReader, node: _Node) -> str:
    if sorted(reader.integers(node, "axes", 1)) not in ([2, 3], [-2, -1]):
        raise WeightsError("means over other axes than all places")
    x = reader.builder.add(f"{node.name}_places", "global_avg_pool", [reader.data(node)])
    return x if node.integer("keepdims", 1) else reader.builder.add(node.name, "flatten", [x])


def _reduce_sum(reader: _GraphReader, node: _Node) -> str:
    if reader.integers(node, "axes", 1) != [1] or not node.integer("keepdims", 1):
        raise WeightsError("sums over another axis than the channels")
    return reader.builder.add(node.name, "sum_channels", [reader.data(node)])


def _pad(reader: _GraphReader, node: _Node) -> str:
    """Zeros around a map, or after its channels."""
    pads, value = reader.integers(node, "pads", 1), reader.optional(node, 2)
    number = node.number("value", 0.0) if value is None else float(value.item())
    if node.text("mode", "constant") != "constant" or number or len(pads) != 8:
        raise WeightsError("only zeros around a map are supported")
    if pads[0] or pads[4] or min(pads) < 0 or max(pads) > _LARGEST_INPUT:
        raise WeightsError(f"unsupported padding {pads}")
    edges = [pads[axis + side] for axis in (3, 2, 1) for side in (0, 4)]  # from the last axis
    return reader.builder.add(node.name, "pad", [reader.data(node)], pad=edges)


def _divide(reader: _GraphReader, node: _Node) -> str:
    _check_two(node)
    if not reader.is_known(node, 1):
        inverse = reader.builder.add(f"{node.name}_inverse", "reciprocal", [reader.data(node, 1)])
        return reader.builder.add(node.name, "mul", [reader.data(node), inverse])
    divisor = reader.scalar(node, 1)
    if not divisor:
        raise WeightsError("only a division by a number other than 0 is supported")
    return reader.builder.add(node.name, "mul_scalar", [reader.data(node)], value=1 / divisor)


def _check_two(node: _Node) -> None:
    if len(node.inputs) != 2:
        raise WeightsError(f"{len(node.inputs)} inputs")


def _sum(reader: _GraphReader, node: _Node) -> str:
    inputs = [reader.data(node, index) for index in range(len(node.inputs))]
    return reader.builder.sum(node.name, inputs)


def _constant_reshape(reader: _GraphReader, node: _Node) -> Array:
    array = reader.constant(node, 0)
    shape = reader.integers(node, "shape", 1)
    kept = dict(enumerate(array.shape))
    return array.reshape([length or kept.get(axis, 1) for axis, length in enumerate(shape)])


def _constant_unsqueeze(reader: _GraphReader, node: _Node) -> Array:
    return np.expand_dims(reader.constant(node, 0), reader.integers(node, "axes", 1))


def _constant_transpose(reader: _GraphReader, node: _Node) -> Array:
    array = reader.constant(node, 0)
    return np.transpose(array, node.integers("perm", range(array.ndim)[::-1]))


_Operator = Callable[[_GraphReader, _Node], str]

_ON_CONSTANTS: dict[str, Callable[[_GraphReader, _Node], Array]] = {
    "Cast": lambda reader, node: reader.constant(node, 0),
    "Identity": lambda reader, node: reader.constant(node, 0),
    "Reshape": _constant_reshape,
    "Transpose": _constant_transpose,
    "Unsqueeze": _constant_unsqueeze,
}

_FOLDED: dict[str, Callable[..., Array]] = {
    "Add": np.add,
    "Div": np.divide,
    "Mul": np.multiply,
    "Sub": np.subtract,
}
"""Operations on constants."""

_OPERATORS: dict[str, _Operator] = {
    "Add": _add,
    "AveragePool": _pool,
    "BatchNormalization": _batch_norm,
    "Cast": _plain("identity"),  # between float types, all of which are float32 here
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _divide,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _plain("global_avg_pool"),
    "Identity": _plain("identity"),
    "LRN": _local_response_norm,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "Mul": _multiply,
    "PRelu": _prelu,
    "Pad": _pad,
    "Reciprocal": _plain("reciprocal"),
    "ReduceMean": _reduce_mean,
    "ReduceSum": _reduce_sum,
    "Relu": _plain("relu"),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _plain("sigmoid"),
    "Slice": _slice,
    "Sqrt": _plain("sqrt"),
    "Sub": _subtract,
    "Sum": _sum,
    "Upsample": _resize,
}
