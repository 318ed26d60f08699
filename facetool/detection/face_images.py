"""Faces cut out of photos with some of what is around them, to look at."""

from __future__ import annotations

from pathlib import Path

from facetool.detection.face import Box
from facetool.images.read import RGBImage, read_photo

_MARGIN = 0.25
"""Of a box's edge, shown around it."""


def read_face(photo: Path, box: Box) -> RGBImage:
    """A face with some of what is around it, RGB uint8 (H, W, 3).

    Args:
        photo: the file.
        box: where the face is, pixels of the upright photo.

    Raises:
        ImageError: the photo cannot be read.
    """
    return cut_around(read_photo(photo).pixels, box)


def cut_around(pixels: RGBImage, box: Box) -> RGBImage:
    """The same from a photo that has been read."""
    height, width = pixels.shape[:2]
    margin = _MARGIN * max(box.right - box.left, box.bottom - box.top)
    left, right = (_within(edge, width) for edge in (box.left - margin, box.right + margin))
    top, bottom = (_within(edge, height) for edge in (box.top - margin, box.bottom + margin))
    cut = pixels[top:bottom, left:right]
    return cut if cut.size else pixels


def _within(edge: float, size: int) -> int:
    return round(min(max(edge, 0), size))
