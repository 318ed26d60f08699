"""YuNet, OpenCV's detector: edges and points relative to each place, in strides.

Source: Wu, Peng, Yu, "YuNet: a tiny millisecond-level face detector", Machine Intelligence Research
20, 2023; the files of OpenCV's model zoo since 2023, read as ``cv2.FaceDetectorYN`` does: BGR
0…255, the score the root of class times objectness.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from facetool.detection.map_detector import Found, MapDetector, Places
from facetool.detection.options import YunetOptions
from facetool.errors import WeightsError
from facetool.networks.graph import INPUT, MapNetwork
from facetool.weights.readers.onnx import load_maps

YUNET_STRIDES = (8, 16, 32)
_OUTPUTS = tuple(
    f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in YUNET_STRIDES
)


class YunetHead:
    """Reads outputs ordered as class, objectness, box and points, by stride.

    Args:
        order: where each of these is among the network's outputs.
    """

    strides: tuple[int, ...] = YUNET_STRIDES
    whole_pixels = True

    def __init__(self, order: Sequence[int]) -> None:
        self._order = tuple(order)

    def prepare(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """As it is, 0…255, exact in bfloat16; the network has been told that it is not BGR."""
        return pixels.to(dtype)

    def scores(self, outputs: Sequence[Tensor], level: int) -> Tensor:
        """The geometric mean of two probabilities, (N, places)."""
        face = self._output(outputs, 0, level)[..., 0].clamp(0, 1)
        return (face * self._output(outputs, 1, level)[..., 0].clamp(0, 1)).sqrt()

    def locate(self, outputs: Sequence[Tensor], level: int, places: Places) -> Found:
        """Centre and size, the latter as logarithms, and points."""
        place = torch.stack([places.column, places.row], dim=1)
        values = self._output(outputs, 2, level)[places.image, places.listed]
        half = values[:, 2:].exp() / 2
        center = place + values[:, :2]
        edges = torch.cat([center - half, center + half], dim=1)
        shifts = self._output(outputs, 3, level)[places.image, places.listed]
        points = shifts.view(-1, 5, 2) + place[:, None]
        return Found(edges * places.stride, points * places.stride)

    def _output(self, outputs: Sequence[Tensor], kind: int, level: int) -> Tensor:
        return outputs[self._order[kind * len(self.strides) + level]]


class YunetDetector(MapDetector):
    """Finds faces and five points.

    Args:
        options: minimum score, largest overlap and precision.
        weights: one of OpenCV's files, such as ``face_detection_yunet_2023mar.onnx``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        FormatError: the file is damaged or no ONNX file.
        WeightsError: it is another network.
    """

    def __init__(self, options: YunetOptions, weights: Sequence[Path], device: str = "cpu") -> None:
        (path,) = weights
        network, outputs = load_maps(path)
        if missing := [name for name in _OUTPUTS if name not in outputs]:
            raise WeightsError(
                f"{path}: not a YuNet of 2023 or later: it has no output called {missing[0]}"
            )
        order = [outputs.index(name) for name in _OUTPUTS]
        _take_rgb(network, path)
        super().__init__(network, YunetHead(order), options, device)


def _take_rgb(network: MapNetwork, path: Path) -> None:
    """Let the first convolution take RGB: to turn every photo round takes longer.

    Raises:
        WeightsError: it begins with something else.
    """
    for node in network.nodes:
        if INPUT not in node.inputs:
            continue
        first = network.layers[node.name]
        if not isinstance(first, nn.Conv2d) or first.groups > 1:
            raise WeightsError(f"{path}: not a YuNet of 2023 or later: it begins with {node.op}")
        first.weight = nn.Parameter(first.weight.flip(1))
