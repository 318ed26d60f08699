import math

import numpy as np
import pytest

from facetool.alignment.upright import upright_crop
from facetool.errors import ImageError


def photo_of(points: np.ndarray) -> np.ndarray:
    """Black, with a bright spot at each point."""
    rows, columns = np.mgrid[:300, :300]
    spots = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18) for x, y in points]
    return np.repeat((255 * np.max(spots, axis=0)).astype(np.uint8)[..., None], 3, axis=2)


def centre(image: np.ndarray, rows: slice, columns: slice) -> tuple[float, float]:
    part = image[rows, columns, 0].astype(float)
    y, x = np.mgrid[rows, columns]
    return float((part * x).sum() / part.sum()), float((part * y).sum() / part.sum())


@pytest.mark.parametrize("degrees", [0, 25, -40])
def test_eyes_are_level_at_row_40_and_the_mouth_48_rows_below(degrees: float) -> None:
    face = np.array([[-30.0, -20], [30, -20], [0, 10], [-20, 46], [20, 54]])  # a smile
    turn = math.radians(degrees)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    points = face @ rotation.T + (150, 150)
    crop = upright_crop(photo_of(points), points, 128)
    left = centre(crop, slice(25, 55), slice(0, 64))
    right = centre(crop, slice(25, 55), slice(64, 128))
    mouth = centre(crop, slice(78, 98), slice(0, 128))
    np.testing.assert_allclose([left[1], right[1]], 40, atol=0.3)
    np.testing.assert_allclose((left[0] + right[0]) / 2, 64, atol=0.3)
    np.testing.assert_allclose(mouth[1], 88, atol=0.3)


def test_a_mouth_above_the_eyes_is_no_face() -> None:
    points = np.array([[100.0, 100], [160, 100], [130, 70], [110, 50], [150, 50]])
    with pytest.raises(ImageError, match="mouth"):
        upright_crop(np.zeros((200, 200, 3), np.uint8), points, 128)
