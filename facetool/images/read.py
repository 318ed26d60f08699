"""Reading any image file as RGB uint8 (H, W, 3)."""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from facetool.errors import ImageError

RGBImage = NDArray[np.uint8]

MAX_PIXELS = 200_000_000
"""Larger images are refused before a pixel is decoded: 600 MB as RGB is a bound a worker bears."""

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def read_image(path: Path) -> RGBImage:
    """Decode an image upright, whatever its format.

    EXIF orientation is applied; grayscale, palette, alpha, CMYK and 16-bit become 8-bit RGB.

    Returns:
        uint8 (H, W, 3), RGB, C-contiguous.

    Raises:
        ImageError: the file cannot be read, is no image, is damaged or larger than
            ``MAX_PIXELS``.
    """
    return decode_image(read_file(path))


def read_file(path: Path) -> bytes:
    """An image file's content.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


def decode_image(data: bytes) -> RGBImage:
    """Decode the bytes of an image file; see :func:`read_image`."""
    if not data:
        raise ImageError("the file is empty")
    Image.MAX_IMAGE_PIXELS = None  # our own limit below raises, where Pillow's only warns
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            _check_size(*image.size)
            ImageOps.exif_transpose(image, in_place=True)
            return np.ascontiguousarray(_to_rgb(image))
    except ImageError:
        raise
    except UnidentifiedImageError:
        return _decode_with_opencv(data)
    except Exception as error:
        # Pillow's decoders answer damage with almost any type: OSError, SyntaxError, ValueError,
        # struct.error, EOFError … One bad file must not stop a folder, so all of them count.
        raise ImageError(f"damaged image: {str(error) or type(error).__name__}") from error


@cache
def _formats() -> list[str]:
    """What Pillow reads by itself; for EPS it would start Ghostscript on a stranger's file."""
    Image.init()
    return [name for name in Image.ID if name != "EPS"]


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{width}x{height} pixels are more than the {MAX_PIXELS // 1_000_000} million "
            "that are read; scale the image down"
        )


def _to_rgb(image: Image.Image) -> RGBImage:
    if image.mode in _SIXTEEN_BIT:
        # Pillow's own conversion clips at 255 instead of scaling.
        gray = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise ImageError("floating-point images have no fixed range; convert to 8 or 16 bits")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _decode_with_opencv(data: bytes) -> RGBImage:
    """The formats that only OpenCV knows."""
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError("not an image, or damaged") from error
    if image is None:
        raise ImageError("not an image, or of an unknown format")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
