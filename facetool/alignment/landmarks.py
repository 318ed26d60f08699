"""The named sets of points a crop is made from."""

from __future__ import annotations

import numpy as np

from facetool.detection.face import Points
from facetool.errors import UsageError

OPENFACE_INDICES = {
    "outerEyesAndNose": (36, 45, 33),
    "innerEyesAndBottomLip": (39, 42, 57),
}
"""Rows of dlib's 68 points, as in OpenFace's ``AlignDlib``."""

PREDICTOR_POINTS = {"five": 5, "outerEyesAndNose": 68, "innerEyesAndBottomLip": 68, "arcface": 68}
"""How many points dlib's predictor must give for a set."""


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
