"""The named sets of points a crop is made from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import UsageError
from facetool.images.arrays import described

Points = NDArray[np.float64]
"""(K, 2) as ``x, y``, in pixels of the upright photo."""

OPENFACE_INDICES = {
    "outerEyesAndNose": (36, 45, 33),
    "innerEyesAndBottomLip": (39, 42, 57),
}
"""Rows of dlib's 68 points, as in OpenFace's ``AlignDlib``."""

PREDICTOR_POINTS = {
    "five": (5, 68),
    "outerEyesAndNose": (68, 5),
    "innerEyesAndBottomLip": (68,),
    "arcface": (68,),
    "eyesAndMouth": (68,),
    "box": (),
}
"""Which of dlib's predictors can give a set; the first is the one the originals use."""


def check_points(points: Any, *counts: int) -> None:
    """Refuse what a caller gives as points and are none.

    Args:
        points: of a face or a box.
        counts: how many there may be.

    Raises:
        UsageError: they are not finite floats (K, 2).
    """
    shapes = [(count, 2) for count in counts]
    floats = isinstance(points, np.ndarray) and points.dtype.kind == "f"
    if not floats or points.shape not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise UsageError(f"landmarks are floats {wanted}, x and y each, not {described(points)}")
    if not np.isfinite(points).all():
        raise UsageError("landmarks are finite, and some of these are not")


def openface_points(points: Points, landmarks: str) -> Points:
    """The three points (3, 2) of an OpenFace set.

    Args:
        points: dlib's 68 (68, 2), or its 5 (5, 2), whose 2, 0 and 4 are the outer corners of the
            eyes and the base of the nose.
        landmarks: a key of ``OPENFACE_INDICES``.

    Raises:
        UsageError: the set is not among the points.
    """
    if len(points) == 68:
        return points[list(OPENFACE_INDICES[landmarks])]
    if len(points) == 5 and landmarks == "outerEyesAndNose":
        return points[[2, 0, 4]]
    raise UsageError(f"{landmarks} is not among {len(points)} landmarks; use 68")


def arcface_points(points: Points) -> Points:
    """Eye centres, nose tip and mouth corners (5, 2) out of dlib's 68 points.

    Args:
        points: (68, 2), or (5, 2) which are returned as they are: a detector's own points.
    """
    if len(points) == 5:
        return points
    if len(points) != 68:
        raise UsageError(f"five or 68 landmarks are needed for this crop, not {len(points)}")
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    return np.stack([left, right, points[30], points[48], points[54]])
