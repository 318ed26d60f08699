"""MTCNN: three small networks in cascade find faces and five points of each.

Source: Zhang, Zhang, Li, Qiao, "Joint face detection and alignment using multitask cascaded
convolutional networks", IEEE Signal Processing Letters 23(10), 2016. The weights are those of
the package ``mtcnn`` 1.0, and so are the details: windows, rounding, thresholds, overlaps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.backends import cudnn

from facetool.detection.face import Box, Face
from facetool.detection.mtcnn_networks import OutputNetwork, RefineNetwork, load_networks
from facetool.detection.options import MtcnnOptions
from facetool.detection.patches import pack_pixels, sample_patches
from facetool.detection.pyramid import Pyramid
from facetool.detection.suppression import suppress
from facetool.images.read import RGBImage

_WINDOW, _STRIDE = 12, 2
_MARGIN = 5
"""Rows of windows fewer than half the rows of pixels: the window is wider than its step."""

_SAME_LEVEL, _ALL_LEVELS, _REFINED, _FINAL = 0.5, 0.7, 0.7, 0.7
"""Overlap above which the worse of two boxes goes: within a level, across levels, after R-Net
and, as a share of the smaller box, after O-Net."""


class _Pass(NamedTuple):
    """How much is computed at once: what a processor's cache holds, or what fills a GPU.

    Attributes:
        stack: pixels of the images that share R-Net and O-Net.
        pixels: of the images, and of their level of the pyramid, in P-Net.
        refine: patches in R-Net.
        output: patches in O-Net.
    """

    stack: int
    pixels: int
    refine: int
    output: int


_PASSES = {
    "cpu": _Pass(stack=2**22, pixels=2**18, refine=64, output=16),
    "cuda": _Pass(stack=2**26, pixels=2**24, refine=2**14, output=2**12),
}


class _Boxes(NamedTuple):
    """Boxes of a batch of images.

    Attributes:
        edges: float32 (N, 4): left, top, right, bottom.
        scores: float32 (N,).
        image: int64 (N,), which image each lies in.
    """

    edges: Tensor
    scores: Tensor
    image: Tensor

    def at(self, index: Tensor | slice) -> _Boxes:
        """Some of them."""
        return _Boxes(self.edges[index], self.scores[index], self.image[index])


class MtcnnDetector:
    """Finds faces and five points: eyes, nose, mouth corners, left in the image first.

    Args:
        options: thresholds, smallest face, steps of the image pyramid.
        weights: ``pnet.lz4``, ``rnet.lz4`` and ``onet.lz4`` of the package ``mtcnn``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        WeightsError: the files are not what they should be.
    """

    def __init__(
        self,
        options: MtcnnOptions,
        weights: Sequence[Path],
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._pass = _PASSES[self._device.type]
        self._thresholds = options.thresholds
        self._stages = options.stages
        self._largest_scale = _WINDOW / options.min_face_size
        self._scale_factor = options.scale_factor
        proposal, refine, output = load_networks(weights)
        self._proposal = proposal.to(self._device)
        self._refine = refine.to(self._device)
        self._output = output.to(self._device)

    # TF32's ten bits would move boxes across thresholds.
    @cudnn.flags(enabled=True, allow_tf32=False)
    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        """The faces of each image, best score first; images of one size share their passes."""
        threads = torch.get_num_threads() if self._device.type == "cpu" else 1
        same_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, image in enumerate(images):
            same_size[image.shape].append(number)
        stacks = []
        for (height, width, _), numbers in same_size.items():
            count = min(-(-len(numbers) // threads), self._pass.stack // (height * width))
            count = max(1, count)
            stacks += [numbers[start : start + count] for start in range(0, len(numbers), count)]

        def detect_stack(numbers: Sequence[int]) -> list[list[Face]]:
            return self._detect_stack(np.stack([images[number] for number in numbers]))

        faces: list[list[Face]] = [[] for _ in images]
        for numbers, found in zip(stacks, _map(detect_stack, stacks, threads), strict=True):
            for number, its_faces in zip(numbers, found, strict=True):
                faces[number] = its_faces
        return faces

    @torch.inference_mode()
    def _detect_stack(self, stack: RGBImage) -> list[list[Face]]:
        images = torch.from_numpy(stack)
        if self._device.type == "cuda":
            images = images.pin_memory().to(self._device, non_blocking=True)
        boxes = _squares(self._propose(images)) if self._stages == "pro" else _whole(images)
        packed = pack_pixels(images)
        boxes, _ = self._judge(self._refine, packed, boxes, self._thresholds[1], self._pass.refine)
        boxes = _squares(boxes.at(suppress(*boxes, _REFINED)))
        boxes, points = self._judge(
            self._output, packed, boxes, self._thresholds[2], self._pass.output
        )
        kept = suppress(*boxes, _FINAL, by_smaller=True)
        return _as_faces(boxes.at(kept), points[kept], stack.shape)

    def _propose(self, images: Tensor) -> _Boxes:
        """P-Net's boxes."""
        _, height, width, _ = images.shape
        scales: list[float] = []
        while min(height, width) * (scale := self._scale(len(scales))) >= _WINDOW:
            scales.append(scale)
        count = max(1, self._pass.pixels // (height * width))
        found, levels = [_no_boxes(images.device)], [_no_boxes(images.device).image]
        for start in range(0, len(images), count):
            pyramid = Pyramid(images[start : start + count])
            for level, scale in enumerate(scales):
                for boxes in self._propose_on_level(pyramid, scale):
                    found.append(boxes._replace(image=boxes.image + start))
                    levels.append(torch.full_like(boxes.image, level))
        boxes = _joined(found)
        same_level = boxes.image * len(scales) + torch.cat(levels)
        boxes = boxes.at(suppress(boxes.edges, boxes.scores, same_level, _SAME_LEVEL))
        return boxes.at(suppress(*boxes, _ALL_LEVELS))

    def _scale(self, level: int) -> float:
        return self._largest_scale * self._scale_factor**level

    def _propose_on_level(self, pyramid: Pyramid, scale: float) -> Iterator[_Boxes]:
        """The boxes of one level of the pyramid, in pixels of the image, strip by strip."""
        height, width = int(pyramid.height * scale), int(pyramid.width * scale)
        windows = (height + 1) // 2 - _MARGIN
        step = max(1, self._pass.pixels // (pyramid.count * width * _STRIDE))
        for first in range(0, windows, step):
            last = min(first + step, windows)
            boxes = self._propose_on_rows(pyramid, height, width, first, last)
            yield boxes._replace(edges=boxes.edges / scale)

    def _propose_on_rows(
        self, pyramid: Pyramid, height: int, width: int, first: int, last: int
    ) -> _Boxes:
        """The boxes of some rows of windows of a level, in pixels of the level."""
        pixels = pyramid.rows(
            height, width, first * _STRIDE, min(height, (last + _MARGIN) * _STRIDE)
        )
        outputs: Tensor = self._proposal(pixels)
        image, row, column = (outputs[:, 0] > self._thresholds[0]).nonzero(as_tuple=True)
        values = outputs[image, :, row, column]
        corner = torch.stack([column, row + first], dim=1) * _STRIDE + 1
        window = torch.cat([corner, corner + _WINDOW - 1], dim=1)
        return _Boxes(window + values[:, 1:] * (_WINDOW - 1), values[:, 0], image)

    def _judge(
        self,
        network: RefineNetwork | OutputNetwork,
        packed: Tensor,
        boxes: _Boxes,
        threshold: float,
        count: int,
    ) -> tuple[_Boxes, Tensor]:
        """Let R-Net or O-Net look at what lies in the boxes.

        Returns:
            The boxes whose new score is above the threshold, their edges corrected, and five
            points of each: (N, 2, 5), or (N, 2, 0) from R-Net.
        """
        outputs = torch.cat(
            [
                network(sample_patches(packed, part.edges, part.image, network.patch))
                for part in _parts(boxes, count)
            ]
        )
        kept = outputs[:, 0] > threshold
        boxes, outputs = boxes.at(kept), outputs[kept]
        corner = boxes.edges[:, :2]
        size = boxes.edges[:, 2:] - corner + 1
        shares = outputs[:, 5:].reshape(len(outputs), 2, (outputs.shape[1] - 5) // 2)
        points = shares * size[:, :, None] + corner[:, :, None] - 1
        edges = boxes.edges + outputs[:, 1:5] * size.repeat(1, 2)
        return _Boxes(edges, outputs[:, 0], boxes.image), points


def _map(
    work: Callable[[Sequence[int]], list[list[Face]]], stacks: Sequence[Sequence[int]], threads: int
) -> Iterator[list[list[Face]]]:
    """One stack per thread: layers are too small to be shared among threads."""
    if threads == 1 or len(stacks) == 1:
        yield from map(work, stacks)
        return
    try:
        with ThreadPoolExecutor(threads, "mtcnn", torch.set_num_threads, (1,)) as pool:
            yield from pool.map(work, stacks)
    finally:
        torch.set_num_threads(threads)


def _no_boxes(device: torch.device) -> _Boxes:
    edges = torch.empty(0, 4, device=device)
    return _Boxes(edges, edges[:, 0], torch.empty(0, dtype=torch.int64, device=device))


def _whole(images: Tensor) -> _Boxes:
    """A box around each image: all of it is proposed to be a face."""
    count, height, width, _ = images.shape
    edges = torch.tensor([1.0, 1.0, width, height], device=images.device).repeat(count, 1)
    return _Boxes(edges, edges[:, 0], torch.arange(count, device=images.device))


def _joined(parts: Sequence[_Boxes]) -> _Boxes:
    return _Boxes(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def _parts(boxes: _Boxes, count: int) -> Iterator[_Boxes]:
    """At most ``count`` boxes at a time; one empty part where there are none."""
    for start in range(0, max(len(boxes.image), 1), count):
        yield boxes.at(slice(start, start + count))


def _squares(boxes: _Boxes) -> _Boxes:
    """The smaller side made as long as the larger, about the same centre."""
    corner, opposite = boxes.edges[:, :2], boxes.edges[:, 2:]
    size = opposite - corner
    edge = size.amax(1, keepdim=True)
    corner = corner + (size - edge) / 2
    return boxes._replace(edges=torch.cat([corner, corner + edge], dim=1))


def _as_faces(boxes: _Boxes, points: Tensor, shape: tuple[int, ...]) -> list[list[Face]]:
    """Faces of each image; boxes end at the image's border, points may lie outside.

    Both are rounded to a thousandth of a pixel, as ``align.csv`` states them: what is cut from
    them can be cut again, and hardly depends on which images shared a pass.
    """
    count, height, width, _ = shape
    edges = boxes.edges.double().cpu().numpy().clip(0, (width - 1, height - 1) * 2).round(3)
    landmarks = points.transpose(1, 2).double().cpu().numpy().round(3)
    faces: list[list[Face]] = [[] for _ in range(count)]
    for number, score, box, its_points in zip(
        boxes.image.tolist(), boxes.scores.tolist(), edges.tolist(), landmarks, strict=True
    ):
        faces[number].append(Face(Box(*box), score, its_points))
    return faces
