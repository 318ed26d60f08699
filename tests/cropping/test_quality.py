"""The measures of a face answer to what they are named for, and to nothing else."""

import cv2
import numpy as np
import pytest

from facetool.cropping.quality import measure_quality, poor_quality
from facetool.detection.face import Box, Face

FACE = Face(Box(10, 10, 59, 69), 1.0)
BOX = np.array([(10.0, 10), (59, 69)])


@pytest.fixture
def crop():
    noise = np.random.default_rng(0).integers(0, 255, (150, 150, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def test_sharpness_falls_as_a_crop_is_blurred(crop):
    values = [
        measure_quality(FACE, BOX, cv2.GaussianBlur(crop, (0, 0), blur)).sharpness
        for blur in (0.1, 1, 2, 4)
    ]
    assert values == sorted(values, reverse=True) and values[0] > 4 * values[-1]
    gray = cv2.cvtColor(cv2.resize(crop, (112, 112), interpolation=cv2.INTER_AREA), 7)
    one = measure_quality(FACE, BOX, cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))
    padded = np.pad(gray.astype(float), 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    assert one.sharpness == pytest.approx((laplacian - 4 * gray.astype(float)).var(), abs=0.06)


def test_size_and_exposure(crop):
    quality = measure_quality(FACE, BOX, np.full_like(crop, 51))
    assert (quality.size, quality.sharpness, quality.pose) == (50, 0, None)
    assert quality.exposure == pytest.approx(0.2)
    assumed = Face(FACE.box, 0.0, np.ones((5, 2)), found=False)
    quality = measure_quality(assumed, np.ones((5, 2)), crop)
    assert quality.size is None and quality.pose is None and quality.sharpness > 0
    assert poor_quality(quality, 1e9, 1e9) == ""


def test_what_is_not_good_enough(crop):
    quality = measure_quality(FACE, BOX, crop)
    assert poor_quality(quality, 50, quality.sharpness) == ""
    assert poor_quality(quality, 51, 0) == "face too small: 50 pixels of 51"
    assert poor_quality(quality, 0, 1e6).startswith("face too blurred: sharpness ")
