"""Decoding crops in batches."""

import numpy as np

from facetool.alignment.recipes import Crop
from facetool.embedding.crop_loader import load_crops
from facetool.errors import ImageError

ARCFACE = Crop("similarity", "arcface", 96, 112)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 255, (height, width, 3), np.uint8)


def test_order_failures_and_sizes() -> None:
    images = {"a": picture(112, 96), "c": picture(50, 50), "d": picture(112, 96)}

    def read(name: str) -> np.ndarray:
        if name not in images:
            raise ImageError("gone")
        return images[name]

    batches = list(load_crops(read, [["a", "b"], ["b"], ["c", "d"]], ARCFACE, 2))
    assert [batch.names for batch in batches] == [["a"], [], ["c", "d"]]
    assert [batch.failures for batch in batches] == [[("b", "gone")], [("b", "gone")], []]
    assert [batch.resized for batch in batches] == [0, 0, 1]
    assert batches[2].crops.shape == (2, 112, 96, 3)
    assert (batches[2].crops[1] == images["d"]).all()


def test_narrow_template_is_the_middle_of_the_square_one() -> None:
    square = picture(112, 112)
    (batch,) = load_crops(lambda name: square, [["a"]], ARCFACE, 1)
    assert (batch.crops[0] == square[:, 8:104]).all()
    assert batch.resized == 0
    (other,) = load_crops(lambda name: picture(150, 150), [["a"]], ARCFACE, 1)
    assert other.resized == 1
