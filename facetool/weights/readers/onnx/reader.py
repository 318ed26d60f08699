"""Turns an ONNX graph into one of facetool's, operation by operation.

The shape of every value is known while the graph is read, so all that depends on shapes and
constants alone is calculated then (:mod:`.constants`), and what remains (:mod:`.operators`) is as
plain as the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facetool.errors import WeightsError, one_line
from facetool.networks.graph import INPUT, GraphNetwork, MapNetwork, build_graph
from facetool.weights.readers.lowering import Array
from facetool.weights.readers.onnx.constants import FOLDED, LARGEST_CONSTANT
from facetool.weights.readers.onnx.file import Tensor
from facetool.weights.readers.onnx.node import OnnxNode
from facetool.weights.readers.onnx.operators import OPERATORS, SIZE_BOUND
from facetool.weights.readers.onnx.shapes import BATCH, Shape, ShapeBuilder, channels_last
from facetool.weights.shapes import measure_embedding_size

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

_MISFITS = (
    *(ArithmeticError, AttributeError, IndexError, KeyError, MemoryError),
    *(TypeError, ValueError, WeightsError),
)
"""What an operation raises that does not fit its inputs."""


class GraphReader:
    """Reads the nodes that the outputs depend on; every value is a step's result or known.

    Args:
        path: the file, for messages.
        model: its description.
        tensors: its initialisers.
        shape: (C, H, W) of the input of the network that is made, whatever order the file has.
        any_size: the network is to take photos of every size, so nothing may depend on H and W.

    Raises:
        WeightsError: from every method, where an operation is not supported, or does not fit.
    """

    def __init__(
        self,
        path: Path,
        model: ModelProto,
        tensors: Mapping[str, Tensor],
        shape: tuple[int, int, int],
        *,
        any_size: bool = False,
    ) -> None:
        graph = model.graph
        self.opset = max((one.version for one in model.opset_import if not one.domain), default=1)
        self.any_size = any_size
        self._shape = shape
        self.builder = ShapeBuilder(path, (BATCH, *shape))
        self.maps_turned: dict[str, str] = {}  # to channels last, of networks of any size
        self._tensors = tensors
        self._nodes = [OnnxNode(proto) for proto in graph.node]
        self._constants: dict[str, Array] = {}
        self._shape_of: dict[str, str] = {}  # the value whose shape a name stands for
        self._wanted: set[str] = set()
        self._values: dict[str, str] = {}
        self._take_input(graph)

    def _take_input(self, graph: GraphProto) -> None:
        inputs = [value for value in graph.input if value.name not in self._tensors]
        if len(inputs) != 1:
            raise WeightsError(f"has {len(inputs)} inputs; a face network has one")
        lengths = [axis.dim_value for axis in inputs[0].type.tensor_type.shape.dim]
        self._faces = lengths[0] if lengths else 0  # that the file is for at a time; 0 for any
        self.for_one = self._faces == 1
        self._values[inputs[0].name] = INPUT
        if channels_last(lengths):
            self._values[inputs[0].name] = self.builder.add(
                "channels_last", "permute", [INPUT], dims=[0, 2, 3, 1]
            )

    def network(self, output: str) -> GraphNetwork:
        """Everything up to the embedding."""
        self._read([output])
        value = self._values[output]
        if value == INPUT or value != self.builder.nodes[-1].name:
            self.builder.add("output", "identity", [value])
        network = build_graph(self.builder.nodes, self.builder.tensors)
        size = measure_embedding_size(network, self._shape)
        network.info = replace(network.info, embedding_size=size)
        return network

    def maps(self, outputs: Sequence[str]) -> MapNetwork:
        """Everything up to several outputs."""
        self._read(outputs)
        return self.builder.map_network([self._values[output] for output in outputs])

    def _read(self, outputs: Sequence[str]) -> None:
        self._wanted = set(outputs)
        for node in self._needed():
            try:
                self._read_node(node)
            except _MISFITS as error:
                reason = one_line(error)
                raise WeightsError(f"node {node.name!r} ({node.op}): {reason}") from None
        for output in outputs:
            if output not in self._values:
                raise WeightsError(f"the output {output!r} is made by no layer")

    def _needed(self) -> list[OnnxNode]:
        wanted = set(self._wanted)
        needed = []
        for node in reversed(self._nodes):
            if not wanted.isdisjoint(node.outputs):
                wanted.update(node.inputs)
                needed.append(node)
        return needed[::-1]

    def _read_node(self, node: OnnxNode) -> None:
        if node.name in self._values:  # the sum that a MatMul has taken as its bias
            return
        if node.op == "Constant":
            self._constants[node.name] = node.constant()
        elif self.any_size and (of := self._shape_computation(node)):
            self._shape_of[node.name] = of
        elif node.op == "Shape":
            shape = np.array(self.shape(node), np.int64)
            end = node.integer("end", 0) if node.has("end") else None
            self._constants[node.name] = shape[node.integer("start", 0) : end]
        elif node.op in FOLDED and all(self.known(name) for name in node.inputs if name):
            self._fold(node)
        elif self.any_size and node.op in SIZE_BOUND:
            raise WeightsError("depends on the size of the photo")
        elif node.op in OPERATORS:
            self._values[node.name] = OPERATORS[node.op](self, node)
        else:
            raise WeightsError("unsupported kind of node")

    def _shape_computation(self, node: OnnxNode) -> str:
        """The value whose shape a node calculates with, the last where there are several."""
        if node.op == "Shape":
            return str(node.inputs[0])
        inputs = node.inputs if node.op == "Concat" else node.inputs[:1]
        return next((self._shape_of[name] for name in inputs[::-1] if name in self._shape_of), "")

    def _fold(self, node: OnnxNode) -> None:
        arrays = [self.array(node, index) for index in range(len(node.inputs))]
        result = np.asarray(FOLDED[node.op](self, node, *arrays))
        if result.size > max(LARGEST_CONSTANT, *(array.size for array in arrays)):
            raise WeightsError("a constant that is too large")
        self._constants[node.name] = result

    # What operations ask for and give.

    def give(self, name: str, value: str) -> None:
        """Let one of the file's names stand for a step of the network being made."""
        self._values[name] = value

    def known(self, name: str) -> bool:
        """Whether a value does not depend on the photo."""
        return name in self._constants or name in self._tensors

    def array(self, node: OnnxNode, index: int) -> Array:
        """A known input."""
        found = self.optional(node, index)
        if found is None:
            name = node.inputs[index] if index < len(node.inputs) else ""
            where = f"input {index} ({name!r})" if name else f"input {index}"
            raise WeightsError(f"{where} is missing, or is not among the file's tensors")
        return found

    def optional(self, node: OnnxNode, index: int) -> Array | None:
        """A known input, or None where there is none."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name in self._constants:
            return self._constants[name]
        return self._tensors[name].array() if name in self._tensors else None

    def number(self, node: OnnxNode, index: int) -> float | None:
        """An input that is one known number."""
        array = self.optional(node, index)
        return float(array.item()) if array is not None and array.size == 1 else None

    def integers(self, node: OnnxNode, key: str, index: int) -> list[int] | None:
        """Whole numbers that are an attribute in older files and an input in newer ones."""
        array = self.optional(node, index)
        if array is not None:
            return [int(value) for value in array.ravel()[:16]]
        return node.integers(key) if node.has(key) else None

    def data(self, node: OnnxNode, index: int = 0) -> str:
        """The step that makes an input; a known one becomes a step of its own."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self._values:
            if not self.known(name):
                raise WeightsError(f"input {index} ({name!r}) is the result of no layer before it")
            array = self.array(node, index)
            shape = list(array.shape)
            self._values[name] = self.builder.add(
                f"{name}_constant", "constant", [INPUT], {"weight": array}, shape=shape
            )
        return self._values[name]

    def shape(self, node: OnnxNode, index: int = 0) -> Shape:
        """The shape of an input."""
        if index < len(node.inputs) and self.known(node.inputs[index]):
            return tuple(self.array(node, index).shape)
        return self.builder.shapes[self.data(node, index)]

    def axis(self, node: OnnxNode, default: int) -> int:
        """The attribute ``axis``, counted from the front."""
        rank = len(self.shape(node))
        axis = node.integer("axis", default)
        if not -rank <= axis < rank:
            raise WeightsError(f"axis {axis} of {rank}")
        return axis % rank

    def size_of(self, node: OnnxNode, index: int) -> str:
        """In networks of any size: the value whose height and width an input holds."""
        name = self._shape_of.get(node.inputs[index], "")
        if name not in self._values:
            raise WeightsError(f"input {index} is not the shape of a layer's result")
        return self._values[name]

    def whole(self, shape: Sequence[int]) -> list[int]:
        """A shape of the file's, whose first length may be meant for the batch."""
        lengths = [int(length) for length in shape]
        for_one = len(lengths) == 2 and lengths[0] == 1
        if for_one or (self._faces > 0 and lengths[:1] == [self._faces]):
            lengths[0] = BATCH
        return lengths

    def reshaped(self, node: OnnxNode, shape: Sequence[int]) -> str:
        """An input in another shape, which may be longer where the batch is."""
        x = self.data(node)
        own = self.builder.shapes[x]
        grown = [axis for axis, length in enumerate(shape) if length % BATCH == 0]
        if math.prod(shape) != math.prod(own) or len(grown) > 1:
            raise WeightsError(f"does not fit {len(shape)} axes")
        if list(shape[:1]) == [BATCH] and own[0] == BATCH:
            if len(shape) == 2:
                return self.builder.add(node.name, "flatten", [x])
            return self.builder.add(node.name, "reshape", [x], shape=list(shape[1:]))
        lengths = [-1 if length % BATCH == 0 else length for length in shape]
        added = self.builder.add(node.name, "view", [x], shape=lengths)
        self.builder.shapes[added] = tuple(shape)  # several of the batch's lengths, maybe
        return added

    def bias_after(self, node: OnnxNode, length: int) -> tuple[Array | None, list[str]]:
        """The vector that the only consumer of a node's output adds to it, if one does.

        Returns:
            The vector, and the names of all that is then the node's output.
        """
        consumers = [other for other in self._nodes if node.name in other.inputs]
        if [other.op for other in consumers] == ["Add"] and node.name not in self._wanted:
            others = [name for name in consumers[0].inputs if name != node.name]
            if len(others) == 1 and self.known(others[0]):
                bias = self.array(consumers[0], consumers[0].inputs.index(others[0]))
                if bias.size == length and bias.shape[-1:] == (length,):
                    return bias.reshape(-1), [node.name, consumers[0].name]
        return None, [node.name]
