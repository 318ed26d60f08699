import numpy as np
import pytest
from PIL import Image

from facetool.alignment.box import box_crop
from facetool.errors import ImageError

PHOTO = np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8)


def test_the_box_is_cut_out_and_resized_as_pillow_does() -> None:
    crop = box_crop(PHOTO, np.array([[20.0, 10.0], [80.0, 70.0]]), 32, 32, 0)
    expected = Image.fromarray(PHOTO).crop((20, 10, 80, 70)).resize((32, 32), 2)
    np.testing.assert_array_equal(crop, np.asarray(expected))


def test_the_margin_is_counted_in_pixels_of_the_crop() -> None:
    # 60 pixels become 48 of the 64 columns, so 80 become 64: ten more on each side.
    crop = box_crop(PHOTO, np.array([[30.0, 15.0], [90.0, 75.0]]), 64, 64, 16)
    expected = Image.fromarray(PHOTO).crop((20, 5, 100, 85)).resize((64, 64), 2)
    np.testing.assert_array_equal(crop, np.asarray(expected))


def test_a_box_over_the_edge_is_cut_off() -> None:
    crop = box_crop(PHOTO, np.array([[-10.0, -5.0], [50.0, 55.0]]), 20, 20, 4)
    assert crop.shape == (20, 20, 3)


@pytest.mark.parametrize(
    "box", [(130, 5, 150, 55), (5, 95, 55, 115), (-60, 5, -10, 55), (5, -60, 55, -10)]
)
def test_a_box_outside_is_no_face(box: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="outside the photo"):
        box_crop(PHOTO, np.reshape(box, (2, 2)).astype(float), 20, 20, 0)


@pytest.mark.parametrize(
    ("box", "seen"),
    [
        ((0, 0, 60, 60), (0, 0, 66, 66)),
        ((60, 30, 120, 90), (53, 23, 120, 90)),
        ((-9, -9, 200, 200), (0, 0, 120, 90)),
    ],
)
def test_at_the_edge_everything_up_to_it_is_seen(box: tuple[int, ...], seen: tuple) -> None:
    crop = box_crop(PHOTO, np.reshape(box, (2, 2)).astype(float), 50, 50, 9)
    expected = Image.fromarray(PHOTO).crop(seen).resize((50, 50), 2)
    np.testing.assert_array_equal(crop, np.asarray(expected))
