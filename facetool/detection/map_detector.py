"""Detectors that are one convolutional network: photos in batches through it, places out.

At each of several strides a network says of every place whether a face is centred there, and where
its edges and points are. What the numbers mean differs: :mod:`facetool.detection.scrfd` and
:mod:`facetool.detection.yunet` say it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.backends import cudnn

from facetool.detection.face import Box, Face
from facetool.detection.options import MapOptions
from facetool.images.read import RGBImage
from facetool.networks import onednn
from facetool.networks.faster_steps import join_convolutions, pool_without_places
from facetool.networks.fold import fold
from facetool.networks.graph import MapNetwork
from facetool.networks.mixed_precision import lower_precision

_BATCH_PIXELS = {"cpu": 2**20, "cuda": 2**25}
"""Pixels of the photos in one pass: what a processor's cache can follow, or what fills a GPU."""


class Places(NamedTuple):
    """Some places of the maps of one stride.

    Attributes:
        stride: pixels between neighbouring places.
        image: int64 (K,), the photo in the batch.
        listed: int64 (K,), the row in that photo's list of places.
        column: float32 (K,), the place's column in the map.
        row: float32 (K,).
    """

    stride: int
    image: Tensor
    listed: Tensor
    column: Tensor
    row: Tensor


class Found(NamedTuple):
    """What a network says of places with faces, in pixels of the padded photo.

    Attributes:
        edges: float32 (K, 4): left, top, right, bottom; the last two do not belong to the face.
        points: float32 (K, 5, 2), or (K, 0, 2) from a network without points.
    """

    edges: Tensor
    points: Tensor


class Head(Protocol):
    """What the outputs of a network mean.

    Attributes:
        strides: of its maps, smallest first. Photos are padded to multiples of the last.
        whole_pixels: whether overlaps are computed of boxes cut to whole pixels.
    """

    strides: tuple[int, ...]
    whole_pixels: bool

    def prepare(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """The network's input of uint8 RGB (N, 3, H, W), in its precision."""

    def scores(self, outputs: Sequence[Tensor], level: int) -> Tensor:
        """Scores (N, places) at one of the strides, of float32 outputs."""

    def locate(self, outputs: Sequence[Tensor], level: int, places: Places) -> Found:
        """Edges and points at places of that stride."""


class _Candidates(NamedTuple):
    """Faces of a batch before suppression, on the CPU; see :class:`Found`."""

    image: NDArray[np.int64]
    scores: NDArray[np.float32]
    edges: NDArray[np.float32]
    points: NDArray[np.float32]


class MapDetector:
    """Finds faces, and five points where the network gives them, with one network and its head.

    Args:
        network: with weights; it is copied.
        head: what its outputs mean.
        options: minimum score, largest overlap and precision.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(
        self, network: MapNetwork, head: Head, options: MapOptions, device: str = "cpu"
    ) -> None:
        self._device = torch.device(device)
        self._head = head
        self._options = options
        self._dtype: torch.dtype = getattr(torch, options.dtype)
        folded = fold(network).to(self._device)
        if self._dtype != torch.float32:
            lower_precision(folded, self._dtype)
        join_convolutions(folded)
        if self._device.type == "cpu":
            if onednn.onednn_runs(self._dtype):
                onednn.fuse_convolutions(folded)
            pool_without_places(folded, self._dtype)
        self._network = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    # TF32's ten bits would move boxes.
    @cudnn.flags(enabled=True, allow_tf32=False)
    @torch.inference_mode()
    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        """The faces of each image, best score first; images of one padded size share a pass."""
        same_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, image in enumerate(images):
            same_size[self._padded_size(image)].append(number)
        faces: list[list[Face]] = [[] for _ in images]
        for size, numbers in same_size.items():
            count = max(1, _BATCH_PIXELS[self._device.type] // (size[0] * size[1]))
            for start in range(0, len(numbers), count):
                batch = numbers[start : start + count]
                candidates = self._candidates([images[number] for number in batch], size)
                for place, number in enumerate(batch):
                    faces[number] = self._faces(candidates, place)
        return faces

    def _padded_size(self, image: RGBImage) -> tuple[int, int]:
        """Height and width that every map divides."""
        step = self._head.strides[-1]
        height, width = image.shape[:2]
        return -(-height // step) * step, -(-width // step) * step

    def _candidates(self, images: Sequence[RGBImage], size: tuple[int, int]) -> _Candidates:
        """All places of a batch whose score is high enough."""
        stack = np.zeros((len(images), *size, 3), np.uint8)
        for canvas, image in zip(stack, images, strict=True):
            canvas[: image.shape[0], : image.shape[1]] = image
        pixels = torch.from_numpy(stack)
        if self._device.type == "cuda":
            pixels = pixels.pin_memory().to(self._device, non_blocking=True)
        # The channels lie last in memory already, as the network wants them.
        given = self._head.prepare(pixels.permute(0, 3, 1, 2), self._dtype)
        outputs = self._network(given)
        parts = [
            self._at_level(outputs, level, size[1] // stride, size[0] // stride)
            for level, stride in enumerate(self._head.strides)
        ]
        joined = [torch.cat(tensors).cpu().numpy() for tensors in zip(*parts, strict=True)]
        return _Candidates(*joined)

    def _at_level(
        self, outputs: Sequence[Tensor], level: int, columns: int, rows: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scores = self._head.scores(outputs, level)
        image, listed = (scores >= self._options.min_score).nonzero(as_tuple=True)
        cell = listed // (scores.shape[1] // (columns * rows))
        row = cell // columns
        places = Places(
            self._head.strides[level],
            image,
            listed,
            (cell - row * columns).to(scores.dtype),
            row.to(scores.dtype),
        )
        return image, scores[image, listed], *self._head.locate(outputs, level, places)

    def _faces(self, found: _Candidates, place: int) -> list[Face]:
        """The faces of one photo of a batch, each once.

        Boxes and points may reach outside the photo, as the authors' do. Both are rounded to a
        thousandth of a pixel, as ``align.csv`` states them.
        """
        mine = np.flatnonzero(found.image == place)
        corner, opposite = found.edges[mine, :2], found.edges[mine, 2:]
        boxes = np.concatenate([corner, opposite - corner], axis=1).astype(np.float64)
        if self._head.whole_pixels:
            boxes = np.trunc(boxes)
        kept = cv2.dnn.NMSBoxes(  # type: ignore[attr-defined]
            boxes.tolist(), found.scores[mine].tolist(), 0.0, self._options.max_overlap
        )
        return [self._face(found, index) for index in mine[np.asarray(kept, np.intp).reshape(-1)]]

    def _face(self, found: _Candidates, index: np.intp) -> Face:
        left, top, right, bottom = found.edges[index].astype(np.float64).round(3).tolist()
        points = found.points[index].astype(np.float64).round(3)
        box = Box(left, top, right - 1, bottom - 1)
        return Face(box, float(found.scores[index]), points if len(points) else None)
