"""SCRFD and InsightFace's RetinaFace: edges and points as distances from anchors.

Sources: Guo, Deng, Lattas, Zafeiriou, "Sample and computation redistribution for efficient face
detection", ICLR 2022, arXiv:2105.04714; Deng, Guo, Ververas, Kotsia, Zafeiriou, "RetinaFace:
single-shot multi-level face localisation in the wild", CVPR 2020, arXiv:1905.00641. The files and
the way to read them are those of the package ``insightface``: RGB, (x - 127.5) / 128, each distance
in strides, boxes whose right and bottom pixels belong to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from facetool.detection.map_detector import Found, MapDetector, Places
from facetool.detection.options import MapOptions
from facetool.errors import WeightsError
from facetool.networks.graph import MapNetwork
from facetool.weights.readers.onnx import load_maps

SCRFD_STRIDES = {"scrfd": (8, 16, 32), "retinaface": (8, 16, 32, 64, 128)}
_MEAN, _SCALE = 127.5, 1 / 128


class AnchorHead:
    """Reads outputs ordered as scores, distances of edges, distances of points, by stride.

    Args:
        strides: of the maps.
    """

    whole_pixels = False

    def __init__(self, strides: tuple[int, ...]) -> None:
        self.strides = strides

    def prepare(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """(rgb - 127.5) / 128, which bfloat16 holds exactly."""
        return pixels.to(dtype).sub_(_MEAN).mul_(_SCALE)

    def scores(self, outputs: Sequence[Tensor], level: int) -> Tensor:
        """Probabilities (N, places)."""
        return outputs[level][..., 0]

    def locate(self, outputs: Sequence[Tensor], level: int, places: Places) -> Found:
        """Edges and points around the anchors, which lie at multiples of the stride."""
        count, stride = len(self.strides), places.stride
        anchor = torch.stack([places.column, places.row], dim=1) * stride
        distances = outputs[count + level][places.image, places.listed] * stride
        # The last pixel belongs to the authors' boxes.
        edges = torch.cat([anchor - distances[:, :2], anchor + distances[:, 2:] + 1], dim=1)
        if len(outputs) == 2 * count:
            return Found(edges, edges.new_empty(len(edges), 0, 2))
        shifts = outputs[2 * count + level][places.image, places.listed] * stride
        return Found(edges, shifts.view(-1, 5, 2) + anchor[:, None])


class ScrfdDetector(MapDetector):
    """Finds faces and, with the files of that kind, five points.

    Args:
        options: minimum score, largest overlap and precision.
        weights: one of InsightFace's files, such as ``det_10g.onnx``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        FormatError: the file is damaged or no ONNX file.
        WeightsError: it is another network.
    """

    name = "scrfd"

    def __init__(self, options: MapOptions, weights: Sequence[Path], device: str = "cpu") -> None:
        (path,) = weights
        network = _load(path, self.name)
        super().__init__(network, AnchorHead(SCRFD_STRIDES[self.name]), options, device)


class RetinaFaceDetector(ScrfdDetector):
    """The same with five strides and one anchor for each place."""

    name = "retinaface"


def _load(path: Path, kind: str) -> MapNetwork:
    """The network of a file, where its outputs are those of ``kind``."""
    network, outputs = load_maps(path)
    for name, strides in SCRFD_STRIDES.items():
        if len(outputs) in (2 * len(strides), 3 * len(strides)):
            if name != kind:
                raise WeightsError(
                    f"{path}: a network like {name}'s; use detector={name!r}", f"detector={name!r}"
                )
            _check_shapes(network, path, strides)
            return network
    raise WeightsError(f"{path}: {len(outputs)} outputs; {kind} has none of that number")


def _check_shapes(network: MapNetwork, path: Path, strides: tuple[int, ...]) -> None:
    """Compare what one small photo gives with what is to be read.

    Raises:
        WeightsError: the outputs are others.
    """
    edge = strides[-1]
    try:
        with torch.inference_mode():
            outputs = network(torch.zeros(1, 3, edge, edge))
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise WeightsError(f"{path}: takes no photos of {edge}x{edge}: {reason}") from None
    for index, output in enumerate(outputs):
        width = (1, 4, 10)[index // len(strides)]
        cells = (edge // strides[index % len(strides)]) ** 2
        if output.dim() != 3 or output.shape[2] != width or output.shape[1] % cells:
            raise WeightsError(
                f"{path}: output {index + 1} has the shape {list(output.shape)}, where {width} "
                f"values for each of {cells} places belong"
            )
