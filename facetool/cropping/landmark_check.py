"""Whether landmarks can be those of a face.

dlib's detectors find upside-down faces and faces on their sides, and its landmark
predictors then find an upright face in them that is not there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facetool.alignment.landmarks import Points
from facetool.detection.face import Box

_FLAT = 0.002
"""The area of the triangle of eyes and mouth, as a share of the box's, from which on it is one."""

_OUTSIDE = 0.5
"""How far from its box a landmark may lie, in edges of the box."""

_SHIFTS = ((0.08, 0, 1), (-0.08, 0, 1), (0, 0.08, 1), (0, -0.08, 1), (0, 0, 1.1), (0, 0, 0.9))
"""Boxes a little beside the one that was detected: shares of its edge to the right and down, and
how much larger it is."""

_UNSTEADY = {5: 0.05, 68: 0.1}
"""Mean distance of predicted landmarks from their median over those boxes, in distances of the
eyes' outer corners, above which there is no face that they are drawn to. On 150 upright photos of
LFW with hog the largest was 0.034 (5 landmarks) and 0.073 (68); on the 16 of them in which hog
found a face when they were upside-down, the median was 0.082 and 0.067."""

_SAME = 0.25
"""Mean distance of a face's landmarks from those found there with the photo turned, in widths of
them all, up to which they are the same."""


def contradiction(points: Points, box: Box, *, predicted: bool) -> str:
    """Why points cannot be landmarks of an upright face, or of one turned by less than 90 degrees.

    Args:
        points: a detector's five (5, 2), or those of dlib's predictors, 5 or 68.
        box: of the face.
        predicted: which of them.

    Returns:
        The reason, for people; empty where nothing speaks against it.
    """
    if not np.isfinite(points).all():
        return "landmarks contradict each other: not all are finite"
    if not np.isfinite(box).all():
        return "landmarks contradict the face's box: it is not finite"
    left, right, below = _triangle(points, predicted)
    edge = max(box.right - box.left, box.bottom - box.top, 1.0)
    low, high = np.array(box[:2]), np.array(box[2:])
    beyond = np.maximum(low - points, points - high).max()
    if beyond > _OUTSIDE * edge:
        return "landmarks contradict the face's box: some lie far outside of it"
    across, down = right - left, below - (left + right) / 2
    area = float(across[0] * down[1] - across[1] * down[0]) / 2
    if abs(area) < _FLAT * edge**2:
        return "landmarks contradict each other: eyes and mouth lie on one line"
    if area < 0 and across[0] > 0:
        return "landmarks contradict each other: the eyes lie below the mouth"
    if area < 0:
        return "landmarks contradict each other: left and right are exchanged"
    return ""


def unsteadiness(box: Box, predict: Callable[[Box], Points]) -> str:
    """Why predicted landmarks are not held by a face: they move with the box they started from.

    Args:
        box: where they are looked for.
        predict: dlib's 5 or 68 landmarks in a box of the photo.

    Returns:
        The reason, for people; empty where they stay.
    """
    points = predict(box)
    all_points = np.stack([points, *(predict(_shifted(box, *shift)) for shift in _SHIFTS)])
    outer = points[[0, 2]] if len(points) == 5 else points[[45, 36]]
    apart = np.linalg.norm(all_points - np.median(all_points, axis=0), axis=2).mean()
    if apart > _UNSTEADY[len(points)] * np.linalg.norm(outer[0] - outer[1]):
        return "landmarks contradict each other: they depend on where they are looked for"
    return ""


def are_same(points: Points, others: Points) -> bool:
    """Whether landmarks (K, 2) of a face were found twice, with the photo as it is and turned."""
    apart = np.linalg.norm(points - others, axis=1).mean()
    return bool(apart <= _SAME * np.ptp(others, axis=0).max())


def _triangle(points: Points, predicted: bool) -> tuple[Points, Points, Points]:
    """The eyes, the left one of an upright photo first, and the mouth; of dlib's five, the nose."""
    if len(points) == 68:
        return points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[48:].mean(axis=0)
    if predicted:
        return points[2:4].mean(axis=0), points[:2].mean(axis=0), points[4]
    return points[0], points[1], points[3:].mean(axis=0)


def _shifted(box: Box, right: float, down: float, size: float) -> Box:
    edge = box.right - box.left
    x, y = box.center[0] + right * edge, box.center[1] + down * edge
    half = edge * size / 2
    return Box(x - half, y - half, x + half, y + half)
