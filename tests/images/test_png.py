"""PNG files, read back by two decoders that are not ours."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from facetool.images.png import encode_png


def pictures() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:150, 0:150]
    smooth = np.stack([x, y, 255 - x], axis=2).astype(np.uint8)
    return {
        "smooth": smooth,
        "noise": random.integers(0, 256, (37, 113, 3), dtype=np.uint8),
        "one pixel": np.array([[[1, 2, 3]]], np.uint8),
        "one row": random.integers(0, 256, (1, 9, 3), dtype=np.uint8),
        "one column": random.integers(0, 256, (9, 1, 3), dtype=np.uint8),
        "mirrored view": smooth[:, ::-1],
        "part of a photo": smooth[10:50, 20:90],
    }


@pytest.mark.parametrize("name", pictures())
def test_both_decoders_read_the_same_pixels(name: str) -> None:
    picture = pictures()[name]
    encoded = encode_png(picture)
    with Image.open(io.BytesIO(encoded)) as image:
        image.verify()  # checks every chunk's CRC, which decoding does not
    with Image.open(io.BytesIO(encoded)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert np.array_equal(np.asarray(image), picture)
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decoded[:, :, ::-1], picture)


def test_smooth_pictures_are_compressed() -> None:
    picture = pictures()["smooth"]
    assert len(encode_png(picture)) < picture.nbytes / 10
