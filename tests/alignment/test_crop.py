"""Crops of all recipes, and where their borders lie in the photo."""

import cv2
import numpy as np
import pytest

from facetool.alignment.crop import cut_face
from facetool.alignment.landmarks import PREDICTOR_POINTS
from facetool.alignment.outline import crop_outline
from facetool.alignment.recipes import METHODS, OPENFACE_INNER, Crop
from facetool.alignment.stated_recipe import CROPS

# Half a face's width from its middle: eyes' outer and inner corners on the right, the same on the
# left, nose base, as dlib's five are ordered; nose tip, mouth corners, lower lip.
FIVE = [(0.6, -0.5), (0.25, -0.48), (-0.6, -0.45), (-0.25, -0.47), (0.02, 0.15)]
ROWS = {45: 0, 42: 1, 36: 2, 39: 3, 33: 4}
REST = {30: (0.03, 0.1), 48: (-0.35, 0.5), 54: (0.4, 0.45), 57: (0.03, 0.7)}


def face(count: int, centre: tuple[float, float] = (130.0, 120.0), size: float = 60.0):
    """dlib's 5 or 68 points of a face that is tilted a little."""
    points = np.array(FIVE)
    if count == 68:
        every = np.zeros((68, 2))
        every[36:42], every[42:48] = (-0.42, -0.46), (0.42, -0.49)
        every[list(ROWS)] = points[list(ROWS.values())]
        every[list(REST)] = list(REST.values())
        points = every
    return points @ np.array([[0.96, 0.28], [-0.28, 0.96]]) * size + centre


@pytest.mark.parametrize(
    ("landmarks", "count"), [(name, n) for name, counts in PREDICTOR_POINTS.items() for n in counts]
)
def test_each_predictor_that_a_set_names_can_drive_its_crop(landmarks: str, count: int) -> None:
    photo = np.full((240, 260, 3), 200, np.uint8)
    crop = Crop(METHODS[landmarks], landmarks, 112, 112)
    found = cut_face(photo, face(count), crop)
    assert found.shape == (112, 112, 3)
    assert found[56, 56].tolist() == [200, 200, 200]


@pytest.mark.parametrize("name", [n for n, c in CROPS.items() if c.method != "box"])
def test_the_outline_is_what_the_crop_shows(name: str) -> None:
    crop, points = CROPS[name], face(68).round()
    if crop.method == "upright":
        assert crop_outline(points, crop) is None
        return
    noise = np.random.default_rng(3).integers(0, 256, (240, 260, 3), np.uint8)
    photo = np.zeros_like(noise)
    cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 9), photo, 0, 255, cv2.NORM_MINMAX)
    outline = crop_outline(points, crop)
    np.testing.assert_allclose(outline[3], outline[0] + outline[2] - outline[1], atol=1e-6)
    corners = np.array([(0, 0), (crop.width, 0), (crop.width, crop.height)], np.float32)
    transform = cv2.getAffineTransform(outline[:3].astype(np.float32), corners)
    expected = cv2.warpAffine(photo, transform, (crop.width, crop.height))
    inside = cv2.warpAffine(np.ones(photo.shape[:2]), transform, expected.shape[1::-1]) == 1
    apart = np.abs(cut_face(photo, points, crop).astype(int) - expected)[inside]
    assert inside.sum() > 5000
    if crop.method == "chip":  # the last pixels of dlib's are a pixel off
        assert apart.mean() < 2
    else:
        assert apart.max() <= 2


def test_the_corners_of_the_inner_outline_surround_the_face() -> None:
    outline = crop_outline(face(68), OPENFACE_INNER).astype(np.float32)
    for point in face(68)[[36, 39, 42, 45, 30, 48, 54, 57]]:
        assert cv2.pointPolygonTest(outline, tuple(map(float, point)), False) > 0
