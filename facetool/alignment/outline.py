"""Where a crop's borders lie in the photo it was cut out of."""

from __future__ import annotations

import cv2
import numpy as np

from facetool.alignment.affine import openface_template
from facetool.alignment.landmarks import Points, arcface_points, openface_points
from facetool.alignment.recipes import Crop
from facetool.alignment.similarity import arcface_template, umeyama


def crop_outline(points: Points, crop: Crop) -> Points | None:
    """The corners (4, 2) of a crop in pixels of the photo: top left first, clockwise.

    Args:
        points: the landmarks that drove it, as ``align.csv`` has them.
        crop: the recipe.

    Returns:
        None for recipes that are no transform of points.
    """
    corners = np.array(
        [(0, 0), (crop.width, 0), (crop.width, crop.height), (0, crop.height)], float
    )
    if crop.method == "similarity":
        transform = umeyama(arcface_points(points), arcface_template(crop.width, crop.height))
    elif crop.method == "affine":
        target = openface_template(crop.landmarks) * (crop.width, crop.height)
        transform = cv2.getAffineTransform(
            openface_points(points, crop.landmarks).astype(np.float32), target.astype(np.float32)
        ).astype(float)
    elif crop.method == "chip":
        return _chip_outline(points, crop.width)
    else:
        return None
    return np.asarray((corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T)


def _chip_outline(points: Points, size: int) -> Points:
    import dlib

    from facetool.alignment.dlib_chip import PADDING

    parts = dlib.points([dlib.point(round(x), round(y)) for x, y in points])
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 0, 0), parts)
    details = dlib.get_face_chip_details(shape, size, PADDING)
    rect, angle = details.rect, details.angle
    centre = np.array([rect.left() + rect.right(), rect.top() + rect.bottom()]) / 2
    half = np.array([rect.right() - rect.left(), rect.bottom() - rect.top()]) / 2
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(corners @ turn.T + centre)
