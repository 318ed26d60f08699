"""JPEGs are decoded past Pillow, to the same pixels; what is odd is left to Pillow."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from facetool.errors import ImageError
from facetool.images import read
from facetool.images.read import Photo, RGBImage, decode_image, decode_photo
from facetool.sample.album import draw_image


def jpeg(mode: str = "RGB", orientation: int = 1, rows: int = 201, **options: Any) -> bytes:
    portrait, _ = draw_image(seed=3, person=1, image=0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image = Image.fromarray(portrait[:rows, :187]).convert(mode)
    second: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (50, 40))]}
    options = (second if options.get("format") == "MPO" else {}) | options
    image.save(file, **{"format": "JPEG", "quality": 90, "exif": exif, **options})
    return file.getvalue()


def by_pillow(data: bytes) -> RGBImage:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    "options",
    [
        *({"orientation": orientation} for orientation in range(1, 9)),
        *({"subsampling": kind} for kind in range(3)),
        {"progressive": True},
        {"restart_marker_blocks": 3},
        {"keep_rgb": True},
        {"mode": "L"},
        {"mode": "L", "orientation": 6},
        {"rows": 1},
        {"quality": 3},
        {"format": "MPO"},
    ],
    ids=str,
)
def test_the_same_pixels(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(**options)
    expected = by_pillow(data)
    monkeypatch.setattr(read, "_to_rgb", None)  # Pillow's own way is not gone
    found = decode_image(data)
    assert found.flags.c_contiguous and found.flags.writeable
    assert np.array_equal(found, expected)


def test_inks_are_left_to_pillow() -> None:
    data = jpeg("CMYK")
    assert np.array_equal(decode_image(data), by_pillow(data))


def outcome(data: bytes) -> Photo | str:
    try:
        return decode_photo(data)
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_ones_are_judged_as_by_pillow(
    progressive: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = jpeg(progressive=progressive)
    random = np.random.default_rng(7)
    files = [whole[:-400], whole[:-2], whole[: len(whole) // 3], whole + b"more"]
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(2, len(whole), 3):
            damaged[place] = random.integers(256)
        files.append(bytes(damaged))
    found = [outcome(data) for data in files]
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(read, "_decode_jpeg", lambda data, size: None)
    for data, ours in zip(files, found, strict=True):
        theirs = outcome(data)
        if isinstance(ours, str) or isinstance(theirs, str):
            assert ours == theirs
        else:
            assert ours.remarks == theirs.remarks
            assert np.array_equal(ours.pixels, theirs.pixels)


def test_a_size_that_was_not_checked_is_not_decoded() -> None:
    assert read._decode_jpeg(jpeg(), (187, 200)) is None
