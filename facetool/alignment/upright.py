"""Light CNN's crop: eyes level, and a fixed height between the eyes and the mouth.

Source: the README of the authors' code (AlfredXiangWu/LightCNN), whose sizes are those of the
testing set: ``ec_mc_y`` 48 and ``ec_y`` 40 in 128x128 pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from facetool.alignment.landmarks import Points, arcface_points
from facetool.errors import ImageError
from facetool.images.read import RGBImage

_EYES_TO_MOUTH = 48 / 128
"""Height between the midpoints of the eyes and of the mouth's corners, as a share of the crop."""
_EYES_ROW = 40 / 128
"""Row of the eyes' midpoint; its column is the crop's middle."""


def upright_crop(image: RGBImage, points: Points, size: int) -> RGBImage:
    """Cut a face out with its eyes level: bilinear, black outside.

    Args:
        image: uint8 (H, W, 3).
        points: five points of a detector (5, 2), or dlib's 68.
        size: edge of the crop, pixels.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ImageError: the mouth is not below the eyes.
    """
    left, right, _, *mouth = arcface_points(points)
    eyes, mouth_middle = (left + right) / 2, (mouth[0] + mouth[1]) / 2
    angle = math.atan2(right[1] - left[1], right[0] - left[0])
    cosine, sine = math.cos(angle), math.sin(angle)
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    distance = float((rotation @ (mouth_middle - eyes))[1])
    if distance <= 0:
        raise ImageError("the mouth does not lie below the eyes")
    linear = rotation * (_EYES_TO_MOUTH * size / distance)
    shift = np.array([size / 2, _EYES_ROW * size]) - linear @ eyes
    transform = np.hstack([linear, shift[:, None]])
    return np.asarray(cv2.warpAffine(image, transform, (size, size)), dtype=np.uint8)
