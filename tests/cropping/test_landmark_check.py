"""Landmarks that cannot be those of a face."""

import numpy as np
import pytest

from facetool.alignment.landmarks import Points
from facetool.cropping.landmark_check import contradiction, unsteadiness
from facetool.detection.face import Box

BOX = Box(0, 0, 100, 100)
FACE = np.array([(30, 35), (70, 35), (50, 55), (35, 75), (65, 75)], float)
CORNERS = np.array([(80, 35), (60, 35), (20, 35), (40, 35), (50, 60)], float)


def turned(points: Points, degrees: float) -> Points:
    angle = np.radians(degrees)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    return np.asarray((points - 50) @ turn + 50)


@pytest.mark.parametrize("degrees", [-80, 0, 45, 80])
def test_a_face_may_be_turned(degrees: float) -> None:
    assert contradiction(turned(FACE, degrees), BOX, predicted=False) == ""
    assert contradiction(turned(CORNERS, degrees), BOX, predicted=True) == ""


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (FACE * (1, -1) + (0, 100), "eyes lie below the mouth"),
        (FACE * (-1, 1) + (100, 0), "left and right are exchanged"),
        (FACE * (1, 0) + (0, 50), "on one line"),
        (FACE + 400, "far outside"),
        (FACE * np.nan, "not all are finite"),
    ],
)
def test_contradictions(points: Points, words: str) -> None:
    assert words in contradiction(points, BOX, predicted=False)


def test_exchanged_corners_of_dlibs_five() -> None:
    assert "exchanged" in contradiction(CORNERS[[2, 3, 0, 1, 4]], BOX, predicted=True)


def test_landmarks_that_follow_their_box_are_no_faces() -> None:
    assert unsteadiness(BOX, lambda box: CORNERS + 1) == ""
    found = unsteadiness(BOX, lambda box: CORNERS + np.array(box.center) - 50)
    assert "depend on where they are looked for" in found
