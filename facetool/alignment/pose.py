"""How a head is turned, from landmarks.

The landmarks are matched to those of an average head, seen from a metre away. Across and down it
has the medians of the landmarks on LFW-a, whose median face so looks straight ahead; its depths are
rough ones of adults. A single face differs from it by some degrees, above all in pitch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from facetool.alignment.landmarks import Points, arcface_points

_EYES_NOSE_MOUTH = np.array(
    [(-31.0, 0, 0), (31, 0, 0), (0, 37, 30), (-27, 67, 8), (27, 67, 8)], np.float64
)
"""Eye centres, nose tip, mouth corners: x to the photo's right, y down, z to the camera, in mm."""

_CORNERS_AND_NOSE = np.array(
    [(45.0, 0, -6), (19.5, 0, 3), (-45, 0, -6), (-19.5, 0, 3), (0, 50, 20)], np.float64
)
"""dlib's five: outer and inner corner of the eye on the right, of that on the left, nose base."""

_DISTANCE = 1000.0
"""Millimetres from the camera."""


class Pose(NamedTuple):
    """Degrees; all are 0 for a face that looks straight into the camera.

    Attributes:
        yaw: positive where the face looks to the right of the photo.
        pitch: positive where it looks up.
        roll: positive where it is tilted clockwise.
    """

    yaw: float
    pitch: float
    roll: float


def head_pose(points: Points, *, predicted: bool) -> Pose | None:
    """The pose of a face; None where the points have none.

    Args:
        points: a detector's five (5, 2), or those of dlib's predictors, 5 or 68, in pixels.
        predicted: which of them.
    """
    import cv2

    model = _CORNERS_AND_NOSE if predicted and len(points) == 5 else _EYES_NOSE_MOUTH
    points = arcface_points(points)
    spread = np.linalg.norm(points - points.mean(axis=0), axis=1).mean()
    if not np.isfinite(spread) or spread == 0:
        return None
    focus = _DISTANCE * spread / np.linalg.norm(model - model.mean(axis=0), axis=1).mean()
    x, y = points.mean(axis=0)
    camera = np.array([(focus, 0, x), (0, focus, y), (0, 0, 1)])
    # OpenCV's z goes away from the camera.
    found, turn, _ = cv2.solvePnP(
        model * (1, 1, -1), points, camera, None, flags=cv2.SOLVEPNP_SQPNP
    )
    if not found:
        return None
    matrix = cv2.Rodrigues(turn)[0]
    ahead, across = -matrix[:, 2], matrix[:, 0]
    return Pose(
        yaw=float(np.degrees(np.arctan2(ahead[0], -ahead[2]))),
        pitch=float(np.degrees(np.arcsin(np.clip(-ahead[1], -1, 1)))),
        roll=float(np.degrees(np.arctan2(across[1], across[0]))),
    )
