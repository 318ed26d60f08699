"""Poses of an average head that is turned by known angles and seen by a camera."""

import cv2
import numpy as np
import pytest

from facetool.alignment import pose


def seen(model, yaw, pitch, roll):
    """Landmarks of the head after it was turned; x to the right, y down, z away."""
    y, p, r = np.radians([yaw, pitch, roll])
    across = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    up = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    tilted = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    points = (model * (1, 1, -1)) @ (tilted @ across @ up).T + (0, 0, 1000)
    return points[:, :2] / points[:, 2:] * 2000 + 300


@pytest.mark.parametrize("predicted", [True, False])
@pytest.mark.parametrize("turned", [(0, 0, 0), (30, 0, 0), (-45, 0, 0), (0, 15, 0), (0, 0, 40)])
def test_known_angles(turned, predicted):
    model = pose._CORNERS_AND_NOSE if predicted else pose._EYES_NOSE_MOUTH
    found = pose.head_pose(seen(model, *turned), predicted=predicted)
    assert found == pytest.approx(turned, abs=3)


@pytest.mark.parametrize("predicted", [True, False])
def test_a_mirrored_face_looks_the_other_way(predicted):
    model = pose._CORNERS_AND_NOSE if predicted else pose._EYES_NOSE_MOUTH
    points = seen(model, 25, 10, 5)
    other_side = [2, 3, 0, 1, 4] if predicted else [1, 0, 2, 4, 3]
    mirrored = (points * (-1, 1) + (600, 0))[other_side]
    straight = pose.head_pose(points, predicted=predicted)
    assert straight is not None
    yaw, pitch, roll = straight
    found = pose.head_pose(mirrored, predicted=predicted)
    assert found == pytest.approx((-yaw, pitch, -roll), abs=1e-4)


def test_size_and_place_do_not_matter():
    points = seen(pose._EYES_NOSE_MOUTH, 20, 5, -10)
    one = pose.head_pose(points, predicted=False)
    for scale, place in ((0.1, 7), (1, (0, 2000)), (3, (-4000, -90))):
        found = pose.head_pose(points * scale + place, predicted=False)
        assert found == pytest.approx(one, abs=0.1)


def test_68_points_are_those_of_a_detector():
    points = np.zeros((68, 2))
    five = seen(pose._EYES_NOSE_MOUTH, 10, 0, 0)
    for rows, point in zip((range(36, 42), range(42, 48), [30], [48], [54]), five, strict=True):
        points[list(rows)] = point
    expected = pose.head_pose(five, predicted=False)
    assert pose.head_pose(points, predicted=True) == pytest.approx(expected)


def test_points_without_a_pose():
    assert pose.head_pose(np.zeros((5, 2)), predicted=False) is None
    assert pose.head_pose(np.full((5, 2), np.nan), predicted=False) is None
    assert cv2.SOLVEPNP_SQPNP  # in every OpenCV that is supported
