"""Every kind of image file becomes RGB uint8, or an ImageError."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, TiffTags

from facetool.errors import ImageError
from facetool.images import read
from facetool.images.read import (
    decode_image,
    decode_photo,
    read_image,
)


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def picture() -> np.ndarray:
    """A smooth colour picture, so that lossy formats stay near it."""
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 4, y * 5, 255 - x * 2 - y], axis=2).astype(np.uint8)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_exactly(picture: np.ndarray, format: str) -> None:
    decoded = decode_image(encode(Image.fromarray(picture), format))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, picture)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "JPEG2000"])
def test_lossy_formats_come_near(picture: np.ndarray, format: str) -> None:
    decoded = decode_image(encode(Image.fromarray(picture), format))
    assert np.abs(decoded.astype(int) - picture).mean() < 4


def test_formats_that_only_opencv_reads(picture: np.ndarray) -> None:
    _, encoded = cv2.imencode(".hdr", picture[:, :, ::-1].astype(np.float32) / 255)
    decoded = decode_image(encoded.tobytes())
    assert decoded.shape == picture.shape
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".hdr", ".png", ".tif"])
def test_the_stored_size_is_told_of_all_formats(suffix: str, tmp_path: Path) -> None:
    pixels = (
        np.full((7, 12, 3), 0.5, np.float32) if suffix == ".hdr" else np.zeros((7, 12, 3), np.uint8)
    )
    (tmp_path / "a").write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())
    stored = read.read_stored(tmp_path / "a")
    assert (stored.width, stored.height, stored.orientation, stored.xmp) == (12, 7, 1, "")


def test_grayscale_is_repeated(picture: np.ndarray) -> None:
    decoded = decode_image(encode(Image.fromarray(picture[:, :, 0]), "PNG"))
    assert np.array_equal(decoded, np.repeat(picture[:, :, :1], 3, axis=2))


def test_alpha_is_dropped(picture: np.ndarray) -> None:
    alpha = np.full((*picture.shape[:2], 1), 200, np.uint8)
    decoded = decode_image(encode(Image.fromarray(np.concatenate([picture, alpha], 2)), "PNG"))
    assert np.array_equal(decoded, picture)


def test_palette_becomes_its_colours() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert np.array_equal(decode_image(encode(image, "PNG"))[0, 0], [10, 200, 30])


def test_cmyk_becomes_rgb(picture: np.ndarray) -> None:
    decoded = decode_image(encode(Image.fromarray(picture).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(decoded.astype(int) - picture).mean() < 4


def test_sixteen_bits_are_scaled_not_clipped(picture: np.ndarray) -> None:
    deep = picture[:, :, 0].astype(np.uint16) * 257
    _, encoded = cv2.imencode(".png", deep)
    assert np.array_equal(decode_image(encoded.tobytes())[:, :, 0], picture[:, :, 0])


@pytest.mark.parametrize(
    ("highest", "signed"),
    [(200, False), (200, True), (60_000, False), (2**31 - 1, True), (2**32 - 1, False)],
)
def test_of_32_bits_the_highest_that_are_used_are_kept(highest: int, signed: bool) -> None:
    shades = [0, highest // 3, highest]
    tags = [(256, 3), (257, 1), (258, 32), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1)]
    tags += [(279, 12), (339, 1 + signed)]  # TIFF 6.0: three pixels, then their description
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head, pixels = b"II*\0" + struct.pack("<I", 20), np.array(shades, "<u4").tobytes()
    data = head + pixels + struct.pack("<H", len(tags)) + entries + bytes(4)
    bits = next(bits for bits in (8, 16, 32) if highest < 2**bits)
    assert decode_image(data)[0, :, 0].tolist() == [shade >> (bits - 8) for shade in shades]


def test_sixteen_bit_colour(picture: np.ndarray) -> None:
    _, encoded = cv2.imencode(".png", picture[:, :, ::-1].astype(np.uint16) * 257)
    assert np.array_equal(decode_image(encoded.tobytes()), picture)


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [(3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, 1)), (8, lambda a: np.rot90(a, -1))],
)
def test_exif_orientation_is_applied(picture: np.ndarray, orientation: int, undo: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo(picture)))  # type: ignore[operator]
    assert np.array_equal(decode_image(encode(stored, "PNG", exif=exif)), picture)


@pytest.mark.parametrize(
    ("tags", "raw"),
    [({0xFE: 1}, False), ({0x14A: 8}, False), ({0xFE: 1, 0x14A: 8}, True), ({0xC612: 1}, True)],
)
def test_the_small_preview_of_a_raw_photo_is_not_taken_for_it(
    tags: dict[int, int], raw: bool, picture: np.ndarray
) -> None:
    """TIFF's "reduced image" with others below it, or DNG's version."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info.tagtype[tag] = TiffTags.LONG
        info[tag] = value
    data = encode(Image.fromarray(picture), "TIFF", tiffinfo=info)
    if raw:
        with pytest.raises(ImageError, match="a raw photo, which is not read"):
            decode_image(data)
    else:
        assert np.array_equal(decode_image(data), picture)


def test_one_pixel() -> None:
    decoded = decode_image(encode(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"))
    assert decoded.tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_jpeg_is_an_error(picture: np.ndarray, share: float) -> None:
    data = encode(Image.fromarray(picture), "JPEG")
    with pytest.raises(ImageError):
        decode_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("data", [b"", b"this is no image", b"\xff\xd8\xff\xe0" + b"\0" * 40])
def test_what_is_no_image_is_an_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode_image(data)


@pytest.mark.slow
def test_a_huge_image_is_refused_before_it_is_decoded() -> None:
    data = encode(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(ImageError, match="20000x20000"):
        decode_image(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_caller_may_have_a_lower_limit(kind: str) -> None:
    data = encode(Image.new("RGB", (100, 50)), kind)
    assert decode_photo(data, max_pixels=5000).pixels.shape == (50, 100, 3)
    with pytest.raises(ImageError, match=r"100x50 pixels are more than the 0\.004999 million"):
        decode_photo(data, max_pixels=4999)


@pytest.mark.parametrize(
    "header",
    [
        np.array([0x59A66A95, 30_000, 30_000, 24, 0, 1, 0, 0], ">u4").tobytes(),
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n" + b"\2\2" * 40,
        b"P7\nWIDTH 30000\nHEIGHT 30000\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + b"0" * 99,
    ],
    ids=["sun raster", "radiance", "pam"],
)
def test_opencv_formats_are_bounded_too(header: bytes) -> None:
    """A header that claims more pixels than are read must not be believed."""
    with pytest.raises(ImageError, match="30000x30000"):
        read._decode_with_opencv(header, read.MAX_PIXELS, known=True)


def test_decoding_changes_no_setting_of_pillow_opencv_or_the_environment(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # the caller's own; we read more
    filters, environment = list(warnings.filters), dict(os.environ)
    log: Any = cv2 if hasattr(cv2, "getLogLevel") else cv2.utils.logging
    level = log.getLogLevel()
    decode_image(encode(Image.fromarray(picture), "PNG"))
    _, radiance = cv2.imencode(".hdr", picture.astype(np.float32) / 255)
    decode_image(radiance.tobytes())
    with pytest.raises(ImageError):
        decode_image(radiance.tobytes()[:200])
    assert Image.MAX_IMAGE_PIXELS == 100
    assert log.getLogLevel() == level
    assert (list(warnings.filters), dict(os.environ)) == (filters, environment)
    assert capfd.readouterr().err == ""


def test_threads_that_decode_leave_pillow_as_it_was(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = encode(Image.fromarray(picture), "PNG")
    with ThreadPoolExecutor(8) as pool:
        decoded = list(pool.map(decode_image, [data] * 64))
    assert all(np.array_equal(one, picture) for one in decoded)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_postscript_is_not_handed_to_ghostscript() -> None:
    with pytest.raises(ImageError):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")


def test_damage_anywhere_is_an_image_error_or_an_image(picture: np.ndarray) -> None:
    random = np.random.default_rng(1)
    decoded = 0
    for format in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        data = encode(Image.fromarray(picture), format)
        for _ in range(40):
            damaged = bytearray(data)
            for place in random.integers(0, len(data), 3):
                damaged[place] = random.integers(256)
            with contextlib.suppress(ImageError):
                assert decode_image(bytes(damaged)).shape[2] == 3
                decoded += 1
    assert 0 < decoded < 240


def test_a_missing_file_is_named_as_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg: cannot be read: No such file"):
        read_image(tmp_path / "none.jpg")


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_common_formats_wait_for_no_plugins_of_others(
    picture: np.ndarray, format: str, tmp_path: Path
) -> None:
    path = tmp_path / "photo.of-any-name"
    path.write_bytes(encode(Image.fromarray(picture), format))
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from facetool.images.read import read_image\n"
        "read_image(Path(sys.argv[1]))\n"
        "print([name for name in sys.modules if name.startswith(('PIL.Tga', 'PIL.WebP'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("start", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_only_begins_like_a_common_format_is_tried_as_all_others(
    start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def formats() -> list[str]:
        tried.append("all")
        return ["TGA"]

    monkeypatch.setattr(read, "_formats", formats)
    with pytest.raises(ImageError, match="damaged image, or one of a rare kind"):
        decode_image(start + bytes(200))
    assert tried
