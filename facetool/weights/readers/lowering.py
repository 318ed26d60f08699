"""What the readers of MXNet symbols and ONNX graphs share: turning layers into graph nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from facetool.alignment.recipes import Crop, Recipe
from facetool.errors import WeightsError
from facetool.files.tensors import as_tensor
from facetool.networks.graph import INPUT, GraphNetwork, MapNetwork, Node, build_graph, build_maps
from facetool.weights.shapes import measure_embedding_size

Array = NDArray[Any]

_LARGEST_INTEGER = 2**31 - 1


class GraphBuilder:
    """Collects the nodes and tensors of a graph network.

    The methods that add a layer take the names of their inputs, and arrays that may be views of
    a file; each array is copied once, as float32. They return the name of the new node.

    Args:
        path: the file being read, for messages.

    Raises:
        WeightsError: from every method, where the layer cannot be run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[str, int] = {INPUT: 1}

    def add(
        self,
        name: str,
        op: str,
        inputs: Sequence[str],
        tensors: Mapping[str, Array] | None = None,
        **attributes: Any,
    ) -> str:
        """Append a node, named as like ``name`` as an unused Python identifier can be."""
        fresh = self._fresh(name)
        self.nodes.append(Node(fresh, op, tuple(inputs), attributes))
        for key, array in (tensors or {}).items():
            self.tensors[f"{fresh}.{key}"] = as_tensor(array)
        return fresh

    def _fresh(self, name: str) -> str:
        name = identifier(name)
        while True:
            used = self._names.get(name, 0)
            self._names[name] = used + 1
            if not used:
                return name
            name = f"{name}_{used + 1}"

    def conv(
        self,
        name: str,
        x: str,
        weight: Array,
        bias: Array | None,
        *,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> str:
        """A 2-D convolution; the weight is (filters, channels / groups, height, width)."""
        if weight.ndim != 4:
            raise WeightsError(f"a convolution weight of shape {weight.shape}")
        filters, channels, *kernel = weight.shape
        return self.add(
            name,
            "conv",
            [x],
            {"weight": weight} | ({} if bias is None else {"bias": bias}),
            in_channels=channels * groups,
            out_channels=filters,
            kernel_size=kernel,
            stride=list(stride),
            padding=list(padding),
            dilation=list(dilation),
            groups=groups,
            bias=bias is not None,
        )

    def batch_norm(
        self,
        name: str,
        x: str,
        gamma: Array | None,
        beta: Array,
        mean: Array,
        variance: Array,
        *,
        eps: float,
        momentum: float,
    ) -> str:
        """Batch normalisation; ``gamma`` None means 1, ``momentum`` weighs the old statistics."""
        return self.add(
            name,
            "batch_norm",
            [x],
            {
                "weight": np.ones(beta.shape, np.float32) if gamma is None else gamma,
                "bias": beta,
                "running_mean": mean,
                "running_var": variance,
            },
            num_features=beta.size,
            eps=eps,
            momentum=round(1 - momentum, 12),
        )

    def linear(self, name: str, x: str, weight: Array, bias: Array | None) -> str:
        """A fully connected layer; the weight is (outputs, inputs)."""
        if weight.ndim != 2:
            raise WeightsError(f"a fully connected weight of shape {weight.shape}")
        return self.add(
            name,
            "linear",
            [x],
            {"weight": weight} | ({} if bias is None else {"bias": bias}),
            in_features=weight.shape[1],
            out_features=weight.shape[0],
            bias=bias is not None,
        )

    def prelu(self, name: str, x: str, slope: Array) -> str:
        """PReLU with one slope per channel, or one for all."""
        tensors = {"weight": slope.reshape(-1)}
        return self.add(name, "prelu", [x], tensors, num_parameters=slope.size)

    def sum(self, name: str, inputs: Sequence[str]) -> str:
        """The sum of one or more values."""
        if not inputs:
            raise WeightsError("a sum of nothing")
        if len(inputs) == 1:
            return self.add(name, "identity", inputs)
        total = inputs[0]
        for value in inputs[1:-1]:
            total = self.add(f"{name}_part", "add", [total, value])
        return self.add(name, "add", [total, inputs[-1]])

    def negative(self, name: str, x: str) -> str:
        """-x, under a name derived from that of the node it serves."""
        return self.add(f"{name}_negative", "mul_scalar", [x], value=-1.0)

    def network(self, output: str, crops: Sequence[Crop]) -> tuple[GraphNetwork, Crop]:
        """The finished network, and the first of ``crops`` whose size it takes.

        Raises:
            WeightsError: it takes none of them, or does not return one vector per face.
        """
        if output != (self.nodes[-1].name if self.nodes else INPUT):
            output = self.add("output", "identity", [output])
        network = build_graph(self.nodes, self.tensors)
        for crop in crops:
            try:
                size = measure_embedding_size(network, Recipe(crop).shape)
            except WeightsError as error:
                reason = str(error)
            else:
                network.info = replace(network.info, embedding_size=size)
                return network, crop
        sizes = " nor ".join(f"{crop.width}x{crop.height}" for crop in crops)
        raise WeightsError(f"takes no crops of {sizes}: {reason}")

    def map_network(self, outputs: Sequence[str]) -> MapNetwork:
        """The finished network of a graph with several results."""
        return build_maps(self.nodes, self.tensors, outputs)


def identifier(name: str) -> str:
    """A name of a file's as a Python identifier that a layer can have."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{name}" if not name or name[0].isdigit() or hasattr(nn.ModuleDict, name) else name


def small_integer(value: Any) -> int:
    """A whole number that a layer's attribute can be.

    Raises:
        WeightsError: it is none.
    """
    if not isinstance(value, int) or abs(value) > _LARGEST_INTEGER:
        raise WeightsError(f"{str(value)[:40]} where a small whole number belongs")
    return value
