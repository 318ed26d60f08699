import numpy as np
import pytest

from facetool.errors import ImageError
from facetool.images.read import RGBImage
from facetool.images.side_by_side import side_by_side


def black() -> RGBImage:
    return np.zeros((40, 30, 3), np.uint8)


def small() -> RGBImage:
    return np.full((20, 10, 3), 200, np.uint8)


def gone() -> RGBImage:
    raise ImageError("gone")


def test_both_have_the_height_of_the_higher() -> None:
    image = side_by_side([black, small])
    assert image.shape == (40, 30 + 4 + 20, 3)
    assert (image[:, :30] == 0).all() and (image[:, 30:34] == 255).all()
    assert (image[:, 34:] == 200).all()


def test_what_is_gone_is_grey() -> None:
    image = side_by_side([gone, black])
    assert image.shape == (40, 40 + 4 + 30, 3)
    assert (image[:, :40] == 128).all()
    with pytest.raises(ImageError, match="gone"):
        side_by_side([gone, gone])
