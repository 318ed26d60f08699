"""Detectors with random weights as ONNX files: what InsightFace exports, but small."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class _Writer:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def tensor(self, array: np.ndarray) -> str:  # type: ignore[type-arg]
        name = f"t{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def conv(self, x: str, channels: int, filters: int, stride: int = 1, bias: float = 0.0) -> str:
        scale = 1.5 / np.sqrt(9 * channels)
        weight = self.random.normal(0, scale, (filters, channels, 3, 3)).astype(np.float32)
        inputs = [x, self.tensor(weight), self.tensor(np.full(filters, bias, np.float32))]
        return self.add("Conv", inputs, kernel_shape=[3, 3], strides=[stride] * 2, pads=[1] * 4)

    def block(self, x: str, channels: int, filters: int, stride: int) -> str:
        """Convolution, batch normalisation, ReLU."""
        y = self.conv(x, channels, filters, stride)
        values = [self.random.uniform(0.5, 1.5, filters).astype(np.float32) for _ in range(4)]
        inputs = [y, *(self.tensor(value) for value in values)]
        return self.add("Relu", [self.add("BatchNormalization", inputs, epsilon=1e-5)])

    def enlarged(self, x: str, other: str, *, to_size: bool) -> str:
        """x as large as another map, as PyTorch exports it with and without known sizes."""
        options = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
        nothing = self.tensor(np.empty(0, np.float32))
        if not to_size:
            factors = self.tensor(np.array([1, 1, 2, 2], np.float32))
            return self.add("Resize", [x, nothing, factors], **options)
        sides = []
        for axis in (2, 3):
            shape = self.add("Shape", [other])
            side = self.add("Gather", [shape, self.tensor(np.array(axis))], axis=0)
            sides.append(self.add("Unsqueeze", [side], axes=[0]))
        limits = [self.tensor(np.array([value])) for value in (0, 2, 0)]
        start = self.add("Slice", [self.add("Shape", [x]), *limits])
        size = self.add("Concat", [start, *sides], axis=0)
        return self.add("Resize", [x, nothing, nothing, size], **options)

    def listed(self, x: str, width: int, *, batched: bool) -> str:
        """A map as a list of places, photos apart or (for a batch of one) not."""
        perm, shape = ([0, 2, 3, 1], [1, -1, width]) if batched else ([2, 3, 0, 1], [-1, width])
        turned = self.add("Transpose", [x], perm=perm)
        return self.add("Reshape", [turned, self.tensor(np.array(shape))])


def write_anchor_graph(
    path: Path,
    strides: tuple[int, ...],
    anchors: int = 1,
    *,
    points: bool = True,
    batched: bool = False,
    seed: int = 0,
) -> None:
    """A detector whose weights are random, with a pyramid of features as the real ones have.

    Args:
        path: to write.
        strides: of its maps, each twice the one before, the first 8.
        anchors: for each place.
        points: whether it gives five points.
        batched: whether its outputs keep photos apart, as later exports do.
        seed: of the weights.
    """
    writer = _Writer(seed)
    x = writer.block(writer.block("input", 3, 8, 2), 8, 8, 2)
    levels = []
    for _ in strides:
        x = writer.block(x, 8, 8, 2)
        levels.append(x)
    for number in range(len(levels) - 1, 0, -1):
        larger = writer.enlarged(levels[number], levels[number - 1], to_size=number % 2 == 0)
        levels[number - 1] = writer.add("Add", [levels[number - 1], larger])
    scores, edges, shifts = [], [], []
    for level in levels:
        logits = writer.listed(writer.conv(level, 8, anchors, bias=-1.0), 1, batched=batched)
        scores.append(writer.add("Sigmoid", [logits]))
        distances = writer.add("Relu", [writer.conv(level, 8, 4 * anchors, bias=1.0)])
        scale = writer.tensor(np.array(0.9, np.float32))
        distances = writer.add("Mul", [distances, scale])
        edges.append(writer.listed(distances, 4, batched=batched))
        if points:
            shifts.append(writer.listed(writer.conv(level, 8, 10 * anchors), 10, batched=batched))
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in [*scores, *edges, *shifts]
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])
    graph = helper.make_graph(writer.nodes, "detector", [given], outputs, writer.tensors)
    opset = helper.make_opsetid("", 11)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=7), str(path))
