import cv2
import numpy as np
import torch

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.networks.inputs import to_input

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)


def made(recipe: Recipe) -> np.ndarray:
    tensor = to_input(torch.from_numpy(PIXELS.copy()), recipe)
    assert tensor.dtype == torch.float32
    return tensor.numpy()


def test_one_mean_and_one_scale() -> None:
    expected = (PIXELS.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) * (1 / 128)
    np.testing.assert_array_equal(made(Recipe(ARCFACE_112, mean=127.5, scale=1 / 128)), expected)


def test_bgr_with_a_mean_for_each_channel_in_that_order() -> None:
    recipe = Recipe(ARCFACE_112, mean=(1.0, 2.0, 3.0), scale=(0.5, 1.0, 2.0), channels="BGR")
    found = made(recipe)
    np.testing.assert_array_equal(found[:, 0], (PIXELS[..., 2].astype(np.float32) - 1) * 0.5)
    np.testing.assert_array_equal(found[:, 2], (PIXELS[..., 0].astype(np.float32) - 3) * 2)


def test_gray_is_opencvs() -> None:
    found = made(Recipe(ARCFACE_112, channels="gray"))
    assert found.shape == (2, 1, 5, 7)
    expected = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in PIXELS])
    assert np.abs(found[:, 0] - expected).max() <= 1  # OpenCV calculates with 14 bits
    assert (found[:, 0] == expected).mean() > 0.99
