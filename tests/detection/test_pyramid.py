"""Area scaling against OpenCV's, and in pieces."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from facetool.detection.pyramid import Pyramid


@pytest.mark.parametrize("table_pixels", [2**22, 4000, 1])
@pytest.mark.parametrize(("height", "width"), [(71, 93), (60, 80), (12, 13), (1, 1), (120, 160)])
def test_rows_are_opencvs_area_average(
    table_pixels: int, height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facetool.detection.pyramid._TABLE_PIXELS", table_pixels)
    images = np.random.default_rng(1).integers(0, 256, (2, 120, 160, 3), dtype=np.uint8)
    pyramid = Pyramid(torch.from_numpy(images))
    cuts = sorted({0, height // 3, height // 2, height})
    scaled = torch.cat([pyramid.rows(height, width, *cut) for cut in pairwise(cuts)], dim=2)
    for image, planes in zip(images, scaled, strict=True):
        expected = cv2.resize(
            image.astype(np.float64), (width, height), interpolation=cv2.INTER_AREA
        )
        np.testing.assert_allclose(planes.permute(1, 2, 0), expected, atol=1e-4)


def test_the_brightest_image_does_not_overflow() -> None:
    white = torch.full((1, 2900, 2900, 3), 255, dtype=torch.uint8)
    scaled = Pyramid(white).rows(100, 100, 0, 100)
    np.testing.assert_allclose(scaled, 255, atol=1e-4)
