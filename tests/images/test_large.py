"""Large JPEGs are decoded in less memory, to the same pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from facetool.images import read
from facetool.images.read import decode_image, decode_photo
from facetool.sample.album import draw_image


def jpeg(orientation: int) -> bytes:
    portrait, _ = draw_image(seed=3, person=1, image=0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(portrait[:, :200]).save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_same_pixels(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(orientation)
    expected = decode_image(data)
    monkeypatch.setattr(read, "_LARGE", 0)
    monkeypatch.setattr(read, "_to_rgb", None)  # Pillow's own way is not gone
    found = decode_image(data)
    assert found.flags.c_contiguous and found.flags.writeable
    assert np.array_equal(found, expected)


def test_a_truncated_one_is_judged_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(1)[:-400]
    expected = decode_photo(data)
    monkeypatch.setattr(read, "_LARGE", 0)
    found = decode_photo(data)
    assert found.truncated and expected.truncated
    assert np.abs(np.subtract(found.pixels, expected.pixels, dtype=float)).max() <= 1
