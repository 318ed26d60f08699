"""dlib's face chip: a similarity of five points onto dlib's own template, area-filtered."""

from __future__ import annotations

import dlib
import numpy as np

from facetool.alignment.landmarks import Points
from facetool.images.read import RGBImage

PADDING = 0.25
"""Room around the face as a share of its size, what dlib's network was trained with."""


def chip_crop(image: RGBImage, points: Points, size: int) -> RGBImage:
    """``dlib.get_face_chip(image, points, size, 0.25)``.

    Args:
        image: uint8 (H, W, 3).
        points: dlib's 5 or 68 landmarks (K, 2).
        size: edge of the chip, pixels.

    Returns:
        uint8 (size, size, 3).
    """
    parts = dlib.points([dlib.point(round(x), round(y)) for x, y in points])
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 0, 0), parts)
    return np.asarray(dlib.get_face_chip(image, shape, size, PADDING), dtype=np.uint8)
