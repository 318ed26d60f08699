"""dlib's CNN face detector on PyTorch: its faces, many times as fast, also on a GPU.

Source: dlib's ``cnn_face_detection_model_v1``. It searches an image pyramid, each level five sixths
of the one before, whose levels dlib lays out on one canvas, ten pixels apart, so that the network
runs once. A face's score depends on up to 94 pixels around its centre, and so near the edge of a
level on the levels beside it; levels searched each by itself give other faces in one of twenty
photos of LFW. So the layout is dlib's, but the canvas is never made: the network sees strips of it,
cut from the levels, of as many photos of one size as a pass holds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.backends import cudnn
from torch.nn import functional as F

from facetool.detection.cnn_network import FIELD, FIRST, REACH, STRIDE, WINDOW, load_model
from facetool.detection.face import Box, Face
from facetool.detection.options import DlibOptions
from facetool.images.read import RGBImage

_GAP, _MARGIN = 10, 11
"""Pixels of the canvas between levels, and around all of them."""

_RATE = 5 / 6
"""From one level of the pyramid to the next."""

_SMALLEST = 5
"""Rows of the last level, at least."""

_PASS_PIXELS = {"cpu": 2**22, "cuda": 2**26}
"""Of the canvas, computed at once."""

_ROWS_PIXELS = 2**20
"""Of a level, made at once."""

_WHOLE_PIXELS = 2**24
"""The pyramid of a larger photo is kept in half precision: it would take too much memory."""


class Level(NamedTuple):
    """Where a level of the pyramid lies on the canvas, pixels."""

    left: int
    top: int
    width: int
    height: int


class CanvasLayout(NamedTuple):
    """The canvas of a photo: its levels, from the photo itself to the smallest, and its size."""

    levels: list[Level]
    width: int
    height: int


class _Places(NamedTuple):
    """Places of the canvas with a score above 0: their photo, row, column and score, each (K,)."""

    image: Tensor
    row: Tensor
    column: Tensor
    score: Tensor


class CnnDetector:
    """dlib's CNN face detector (max-margin object detection): finds more poses than HOG.

    Args:
        options: how often the photo is doubled first.
        weights: dlib's ``mmod_human_face_detector.dat``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        FormatError: the file is damaged, or another.
    """

    def __init__(self, options: DlibOptions, weights: Sequence[Path], device: str = "cpu") -> None:
        (path,) = weights
        model = load_model(path)
        self._upsample = options.upsample
        self._device = torch.device(device)
        self._pass_pixels = _PASS_PIXELS[self._device.type]
        self._overlap, self._covered = model.overlap, model.covered
        self._mean = model.mean.to(self._device)
        network = model.network.to(self._device)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    # TF32's ten bits would move scores across the threshold.
    @cudnn.flags(enabled=True, allow_tf32=False)
    @torch.inference_mode()
    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        """The faces of each image, best score first; images of one size share their passes."""
        same_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, image in enumerate(images):
            same_size[image.shape[0], image.shape[1]].append(number)
        faces: list[list[Face]] = [[] for _ in images]
        for (height, width), numbers in same_size.items():
            layout = lay_out(*upsampled_size(height, width, self._upsample))
            count = max(1, self._pass_pixels // (layout.height * layout.width))
            for start in range(0, len(numbers), count):
                batch = numbers[start : start + count]
                found = self._search(np.stack([images[number] for number in batch]), layout)
                for number, its_faces in zip(batch, found, strict=True):
                    faces[number] = its_faces
        return faces

    def _search(self, stack: RGBImage, layout: CanvasLayout) -> list[list[Face]]:
        """The faces of photos of one size."""
        pyramid = self._pyramid(stack, layout.levels)
        strips = [
            self._places(pyramid, layout, first, last)
            for first, last in _strips(layout, self._pass_pixels)
        ]
        if not strips:
            return [[] for _ in stack]
        image, row, column, score = (
            torch.cat(part).cpu().numpy() for part in zip(*strips, strict=True)
        )
        centres = np.stack([column, row], axis=1) * STRIDE + FIRST
        return [
            self._faces(
                boxes_around(centres[image == number], layout.levels), score[image == number]
            )
            for number in range(len(stack))
        ]

    def _pyramid(self, stack: RGBImage, levels: Sequence[Level]) -> list[Tensor]:
        """The levels (N, 3, H, W): the photos as uint8, all others normalised."""
        photos = torch.from_numpy(stack).to(self._device).permute(0, 3, 1, 2)
        for _ in range(self._upsample):
            height, width = upsampled_size(photos.shape[2], photos.shape[3], 1)
            photos = _resized(photos, height, width, torch.uint8)  # dlib rounds down, too
        small = photos.shape[2] * photos.shape[3] <= _WHOLE_PIXELS
        pyramid = [photos]
        for level in levels[1:]:
            kept = torch.float32 if small else torch.float16
            pyramid.append(_resized(pyramid[-1], level.height, level.width, kept, self._normalised))
        return pyramid

    def _normalised(self, pixels: Tensor) -> Tensor:
        """float32; pixels that are no longer uint8 are normalised already."""
        if pixels.dtype == torch.uint8:
            return pixels.float().sub_(self._mean).div_(256)
        return pixels.float()

    def _places(
        self, pyramid: Sequence[Tensor], layout: CanvasLayout, first: int, last: int
    ) -> _Places:
        """Faces centred in some rows of places."""
        rows = places_along(layout.height)
        start, stop = max(0, first - REACH), min(rows, last + REACH)
        top, bottom = start * STRIDE, (stop - 1) * STRIDE + FIELD
        shape = (len(pyramid[0]), bottom - top, layout.width, 3)  # channels last in memory
        canvas = torch.zeros(shape, device=self._device).permute(0, 3, 1, 2)
        for pixels, level in zip(pyramid, layout.levels, strict=True):
            upper, lower = max(level.top, top), min(level.top + level.height, bottom)
            if upper < lower:
                part = pixels[:, :, upper - level.top : lower - level.top]
                across = slice(level.left, level.left + level.width)
                canvas[:, :, upper - top : lower - top, across] = self._normalised(part)
        scores = self._network(canvas)[:, 0, first - start : last - start]
        image, row, column = (scores > 0).nonzero(as_tuple=True)
        return _Places(image, row + first, column, scores[image, row, column])

    def _faces(self, boxes: NDArray[np.int64], scores: NDArray[np.float32]) -> list[Face]:
        """What non-maximum suppression leaves of (K, 4) boxes, in pixels of the photo."""
        order = np.argsort(-scores, kind="stable")
        kept: list[int] = []
        for index in order:
            if not self._overlaps(boxes[kept], boxes[index]):
                kept.append(int(index))
        edges = boxes[kept].astype(np.float64)
        for _ in range(self._upsample):
            edges = edges / 2 - (1.25, 0.75) * 2
        return [
            Face(Box(*map(int, box)), float(scores[index]))
            for box, index in zip(_rounded(edges), kept, strict=True)
        ]

    def _overlaps(self, better: NDArray[np.int64], box: NDArray[np.int64]) -> bool:
        """Whether a box overlaps too much with one of (K, 4) better ones; edges belong to them."""
        corner = np.maximum(better[:, :2], box[:2])
        inner = np.prod(np.maximum(np.minimum(better[:, 2:], box[2:]) - corner + 1, 0), axis=1)
        # dlib compares with the rectangle around both, not with their union.
        low, high = np.minimum(better[:, :2], box[:2]), np.maximum(better[:, 2:], box[2:])
        around = np.prod(high - low + 1, axis=1)
        smaller = np.minimum(_areas(better), _areas(box[None]))
        return bool(np.any((inner > self._overlap * around) | (inner > self._covered * smaller)))


def upsampled_size(height: int, width: int, times: int) -> tuple[int, int]:
    """Height and width of a photo after dlib's ``pyramid_up``."""
    for _ in range(times):
        height, width = 2 * height + 1, 2 * width + 2
    return height, width


def lay_out(height: int, width: int) -> CanvasLayout:
    """Where dlib puts the levels of a photo's pyramid: one column down, a second one up again."""
    sizes: list[tuple[int, int]] = []
    while height * width > 0 and (height >= _SMALLEST or not sizes):
        sizes.append((height, width))
        height, width = math.floor(_RATE * height), math.floor(_RATE * width)
    if not sizes:
        return CanvasLayout([], 0, 0)
    whole_height, whole_width = sizes[0]
    column = _first_column(sizes)
    levels, bottom = [], _MARGIN
    for height, width in sizes[:column]:
        levels.append(Level(_MARGIN, bottom, width, height))
        bottom += height + _GAP
    bottom -= _GAP
    total = bottom + _MARGIN
    for height, width in sizes[column:]:
        level = Level(_MARGIN + whole_width - width, bottom - height, width, height)
        if level.top < _MARGIN + whole_height:
            break
        levels.append(level)
        bottom -= height + _GAP
    return CanvasLayout(levels, whole_width + 2 * _MARGIN, total)


def _first_column(sizes: Sequence[tuple[int, int]]) -> int:
    """How many levels go below one another, before the next fits beside the last."""
    whole_height, whole_width = sizes[0]
    below = sum(height + _GAP for height, _ in sizes) - 2 * _GAP - whole_height
    height = before = 0
    for count, (its_height, its_width) in enumerate(sizes):
        fits = its_width <= whole_width - before - _GAP
        if fits and (height - whole_height) * 2 >= below:
            return count
        height += its_height + _GAP
        before = its_width
    return len(sizes)


def _resized(
    pixels: Tensor,
    height: int,
    width: int,
    kept: torch.dtype,
    read: Callable[[Tensor], Tensor] = Tensor.float,
) -> Tensor:
    """Bilinear samples, from corner to corner, some rows at a time.

    Args:
        pixels: (N, C, H, W).
        height: of the result.
        width: of the result.
        kept: its type; whole numbers are rounded down.
        read: makes float32 of some rows of ``pixels``.
    """
    count, channels, rows, _ = pixels.shape
    result = pixels.new_empty((count, channels, height, width), dtype=kept)
    at = torch.arange(height, device=pixels.device, dtype=torch.float64)
    at *= (rows - 1) / max(1, height - 1)
    above = at.floor().long()
    below, share = (above + 1).clamp(max=rows - 1), (at - above).float()[:, None]
    step = max(1, _ROWS_PIXELS // (count * width))
    for start in range(0, height, step):
        part = slice(start, start + step)
        low, high = int(above[start]), int(below[part][-1]) + 1
        some = read(pixels[:, :, low:high])
        some = torch.lerp(some[:, :, above[part] - low], some[:, :, below[part] - low], share[part])
        size = (some.shape[2], width)
        result[:, :, part] = F.interpolate(some, size, mode="bilinear", align_corners=True)
    return result


def places_along(length: int) -> int:
    """Places of the network's output along so many pixels."""
    for _ in range(3):
        length = (length - 3) // 2
    return max(0, length)


def _strips(layout: CanvasLayout, pixels: int) -> Iterator[tuple[int, int]]:
    """Rows of places that are computed together, without those they depend on."""
    rows = places_along(layout.height)
    if not rows or not places_along(layout.width):
        return
    fit = pixels // max(1, layout.width * STRIDE)
    step = rows if rows <= fit else max(REACH, fit - 2 * REACH)
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


def boxes_around(centres: NDArray[np.int64], levels: Sequence[Level]) -> NDArray[np.int64]:
    """Boxes (K, 4) of faces, in pixels of the upsampled photo.

    Args:
        centres: (K, 2) as x, y on the canvas.
        levels: a face between levels belongs to the nearest.
    """
    corner = np.array([(level.left, level.top) for level in levels])
    last = corner + [(level.width - 1, level.height - 1) for level in levels]
    outside = np.maximum(corner - centres[:, None], centres[:, None] - last).clip(min=0)
    number = np.hypot(*np.moveaxis(outside, 2, 0)).argmin(axis=1)
    half = (WINDOW - 1) / 2
    middle = (centres - corner[number]).astype(np.float64)
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    for above in range(int(number.max(initial=0))):
        boxes[number > above] = boxes[number > above] / _RATE + 0.3
    return _rounded(boxes)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Halves go away from zero, as C's ``lround`` has them."""
    return (np.sign(values) * np.floor(np.abs(values) + 0.5)).astype(np.int64)


def _areas(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    size: NDArray[np.int64] = boxes[:, 2:] - boxes[:, :2] + 1
    return size[:, 0] * size[:, 1]
