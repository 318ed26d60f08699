"""Reading any image file as RGB uint8 (H, W, 3)."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from facetool.errors import ImageError, one_line
from facetool.files.input_file import open_input
from facetool.files.text import counted
from facetool.images.formats import (
    ADVICE,
    IMAGE,
    IMAGE_HEAD_BYTES,
    RAW,
    is_heif,
    sniff,
    stated_size,
)

RGBImage = NDArray[np.uint8]

MAX_PIXELS = 200_000_000
"""Larger images are refused before a pixel is decoded: 600 MB as RGB is a bound a worker bears."""

_TAIL_BYTES = 64
"""Last bytes of a file in which the end of a JPEG is looked for."""

_JPEG_FORMATS = ("JPEG", "MPO")
"""Pillow's names; telephones write JPEGs with a second image behind as MPO."""

MAX_BYTES = 2**31
"""Larger files are refused before they are read: no image of ``MAX_PIXELS`` takes as many."""

TRUNCATED = "truncated: the end of the file is missing"
ANIMATED = "animated: only its first image is used"
_ANIMATIONS = ("AVIF", "GIF", "PNG", "WEBP")
"""Formats whose further images are later ones; those of TIFF are pages, those of MPO depths."""

_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a photo of each EXIF orientation upright."""

_PIPE_STEP = 1 << 20
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_SHORT = 3
"""TIFF's type of an orientation."""

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


class Photo(NamedTuple):
    """A photo as far as it could be read.

    Attributes:
        pixels: uint8 (H, W, 3), RGB, upright.
        remarks: ``TRUNCATED`` (the missing part is grey or coarse) or ``ANIMATED``.
    """

    pixels: RGBImage
    remarks: tuple[str, ...] = ()

    @property
    def truncated(self) -> bool:
        """Whether the end of the file is missing."""
        return TRUNCATED in self.remarks


def read_image(path: str | Path) -> RGBImage:
    """Decode a whole image upright, whatever its format.

    EXIF orientation is applied; grayscale, palette, alpha, CMYK, 16- and 32-bit become 8-bit RGB.
    Of animations and files of several pages the first image is used.

    Returns:
        uint8 (H, W, 3), RGB, C-contiguous.

    Raises:
        ImageError: the file, which is named, cannot be read, is no image, is damaged or larger
            than ``MAX_PIXELS``.
    """
    path = Path(path)
    try:
        return decode_image(read_file(path))
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def read_photo(path: Path) -> Photo:
    """Decode a photo; a truncated JPEG is accepted if no more than half of its rows are missing."""
    return decode_photo(read_file(path))


class StoredImage(NamedTuple):
    """What a file says of its image before it is decoded.

    Attributes:
        width: as it is stored, pixels.
        height: as it is stored, pixels.
        orientation: EXIF's, 1…8, by which it is turned upright.
        xmp: the XMP inside; empty where there is none.
    """

    width: int
    height: int
    orientation: int
    xmp: str


def read_stored(path: Path) -> StoredImage:
    """Size, orientation and XMP of a photo. HEIF, which libheif turns, counts as stored upright.

    Raises:
        ImageError: the file cannot be read, or is no image.
    """
    data = read_file(path)
    if not is_heif(data[:IMAGE_HEAD_BYTES]):
        try:
            with (
                _PILLOW_LIMIT.set_aside(),
                _opened(data) as image,
            ):
                xmp = image.info.get("xmp", b"")
                orientation = _orientation(image)
                return StoredImage(
                    width=image.width,
                    height=image.height,
                    orientation=orientation if orientation in _TURNS else 1,
                    xmp=xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else str(xmp),
                )
        except Exception:  # as many types as the decoders have
            pass
    height, width = decode_photo(data).pixels.shape[:2]
    return StoredImage(width, height, 1, "")


def read_file(path: Path) -> bytes:
    """The bytes of an image file or of a pipe at whose other end there is a writer.

    Raises:
        ImageError: they cannot be read, or there is no end to them.
    """
    try:
        with open_input(path) as file:
            state = os.fstat(file.fileno())
            if stat.S_ISFIFO(state.st_mode):
                return _read_pipe(file)
            _refuse_unread(file.peek(IMAGE_HEAD_BYTES)[:IMAGE_HEAD_BYTES])  # a video may be huge
            _check_length(state.st_size)
            return file.read()
    except OSError as error:
        if error.errno in _NO_FILES_LEFT:
            raise
        raise ImageError(f"cannot be read: {error.strerror}") from error


_NO_FILES_LEFT = (errno.EMFILE, errno.ENFILE)
"""What the system says where it is the process that may open no more, and no image is at fault."""


def _read_pipe(pipe: IO[bytes]) -> bytes:
    data = bytearray()
    while part := pipe.read(_PIPE_STEP):
        data += part
        _check_length(len(data))
    return bytes(data)


def _check_length(count: int) -> None:
    if count > MAX_BYTES:
        raise ImageError(f"{count:,} bytes or more: larger than any image that is read")


def decode_image(data: bytes) -> RGBImage:
    """Decode the bytes of a whole image file; see :func:`read_image`."""
    photo = decode_photo(data)
    if photo.truncated:
        raise ImageError(TRUNCATED)
    return photo.pixels


def decode_photo(data: bytes, max_pixels: int | None = None) -> Photo:
    """Decode the bytes of an image file; see :func:`read_photo`.

    Args:
        data: the file's.
        max_pixels: larger images are refused before a pixel is decoded; default: ``MAX_PIXELS``.
    """
    max_pixels = MAX_PIXELS if max_pixels is None else max_pixels
    if not data:
        raise ImageError("the file is empty")
    kind = _refuse_unread(data[:IMAGE_HEAD_BYTES])
    try:
        if is_heif(data[:IMAGE_HEAD_BYTES]):
            return Photo(_decode_heif(data, max_pixels))
        return _decode_with_pillow(data, max_pixels)
    except ImageError:
        raise
    except UnidentifiedImageError:
        return Photo(_decode_with_opencv(data, max_pixels, known=kind == IMAGE))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_FILES_LEFT:
            raise
        # Pillow's decoders answer damage with almost any type: OSError, SyntaxError, ValueError,
        # struct.error, EOFError … One bad file must not stop a folder, so all of them count.
        reason = one_line(error)
        raise ImageError(f"damaged image: {reason}") from error


def _refuse_unread(head: bytes) -> str | None:
    """The kind that a file's first bytes show, where it is one that is read."""
    kind = sniff(head)
    if kind in ADVICE:
        raise ImageError(f"a {kind}, which is not read; {ADVICE[kind].replace('them', 'it')}")
    return kind


def _decode_with_pillow(data: bytes, max_pixels: int) -> Photo:
    try:
        pixels, animated = _decode_whole(data, max_pixels)
        return Photo(pixels, (ANIMATED,) * animated)
    except OSError:
        if not data.startswith(_JPEG_START) or _JPEG_END in data[-_TAIL_BYTES:]:
            raise
        # libjpeg fills up what is missing before an end of image, where Pillow only waits for it.
        pixels, _ = _decode_whole(data + _JPEG_END, max_pixels)
    missing = _missing_rows(pixels)
    if missing > len(pixels) / 2:
        raise ImageError(f"damaged image: {counted(missing, 'row')} of {len(pixels)} missing")
    if not _has_detail(data):
        raise ImageError("damaged image: all but a coarse preview is missing")
    return Photo(pixels, (TRUNCATED,))


_COMMON = {_JPEG_START: "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
"""Pillow's names of the formats that its other forty plugins need not be imported for."""


def _opened(data: bytes) -> Image.Image:
    """An image before its pixels are decoded."""
    for start, name in _COMMON.items():
        if data.startswith(start):
            with suppress(UnidentifiedImageError):
                return Image.open(io.BytesIO(data), formats=[name])
    return Image.open(io.BytesIO(data), formats=_formats())


@cache
def _formats() -> list[str]:
    """What Pillow reads by itself.

    For EPS it would start Ghostscript on a stranger's file; the others it only recognises.
    """
    Image.init()
    return [n for n in Image.ID if n not in ("EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF", "HEIF")]


class _PillowLimit:
    """Pillow's limit, which warns where ours raises: set aside while any thread decodes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoders = 0
        self._limit: int | None = None

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        with self._lock:
            if not self._decoders:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._decoders += 1
        try:
            yield
        finally:
            with self._lock:
                self._decoders -= 1
                if not self._decoders:
                    Image.MAX_IMAGE_PIXELS = self._limit


_PILLOW_LIMIT = _PillowLimit()


def _decode_whole(data: bytes, max_pixels: int) -> tuple[RGBImage, bool]:
    """The first image, and whether others follow in time."""
    with _PILLOW_LIMIT.set_aside(), _opened(data) as image:
        check_pixels(image.size, max_pixels)
        _check_tiff(image)
        if image.format in _JPEG_FORMATS and image.mode in ("L", "RGB"):
            pixels = _decode_jpeg(data, image.size)
            if pixels is not None:
                return _turned_array(pixels, _TURNS.get(_orientation(image))), False
        image.load()
        turn = _TURNS.get(_orientation(image))
        upright = image if turn is None else _turned(image, turn)
        pixels = np.ascontiguousarray(_to_rgb(upright))
        return pixels, _is_animated(image)


def _is_animated(image: Image.Image) -> bool:
    """Asked last: Pillow may look at the second image for it."""
    with suppress(Exception):  # the first one is whole, whatever the next is like
        return image.format in _ANIMATIONS and bool(getattr(image, "is_animated", False))
    return True


def _decode_jpeg(data: bytes, size: tuple[int, int]) -> RGBImage | None:
    """By libjpeg-turbo itself; None where anything is odd, of which Pillow is to judge.

    Pillow decodes with the same library, to the same pixels, but in almost twice the time and more
    than twice the memory.

    Args:
        data: the file's.
        size: width and height that Pillow has read and that have been checked.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if (width, height) != size:
            return None
        pixels = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError:
        return None
    return np.asarray(pixels, dtype=np.uint8)


def _turned_array(pixels: RGBImage, turn: Image.Transpose | None) -> RGBImage:
    """What Pillow's ``transpose`` does, without its copies."""
    if turn in (Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE):
        pixels = pixels.swapaxes(0, 1)
    quarters = {
        Image.Transpose.ROTATE_90: 1,
        Image.Transpose.ROTATE_180: 2,
        Image.Transpose.TRANSVERSE: 2,
        Image.Transpose.ROTATE_270: 3,
    }
    if turn in quarters:
        pixels = np.rot90(pixels, quarters[turn])
    if turn == Image.Transpose.FLIP_LEFT_RIGHT:
        pixels = pixels[:, ::-1]
    if turn == Image.Transpose.FLIP_TOP_BOTTOM:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def check_pixels(size: tuple[int, int], max_pixels: int | None = None) -> None:
    """Refuse an image before its pixels are decoded.

    Args:
        size: width and height, pixels.
        max_pixels: that may be decoded; default: ``MAX_PIXELS``.

    Raises:
        ImageError: there are more.
    """
    width, height = size
    max_pixels = MAX_PIXELS if max_pixels is None else max_pixels
    if width * height > max_pixels:
        raise ImageError(
            f"{width}x{height} pixels are more than the {max_pixels / 1_000_000:g} million "
            "that are read; scale the image down"
        )


def _check_tiff(image: Image.Image) -> None:
    """Raw photos are TIFF files, too, whose first image is a small preview."""
    tags = getattr(image, "tag_v2", {})
    preview = tags.get(0xFE) == 1 and 0x14A in tags
    if preview or 0xC612 in tags:
        raise ImageError(f"a {RAW}, which is not read; {ADVICE[RAW].replace('them', 'it')}")


def _orientation(image: Image.Image) -> Any:
    """The EXIF orientation; nothing else of EXIF matters, however odd it is."""
    found = None
    with suppress(Exception):  # as many types as the decoders have
        found = image.getexif().get(ExifTags.Base.Orientation)
    # Before Pillow 13 what follows an odd entry is lost.
    return found or _orientation_entry(image.info.get("exif", b""))


def _orientation_entry(exif: bytes) -> int | None:
    """The orientation in EXIF some other entry of which Pillow cannot read (TIFF 6.0, 2)."""
    data = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", data, entry)
            if (tag, kind, values) == (ExifTags.Base.Orientation, _SHORT, 1):
                return int(value)
    except struct.error:
        pass
    return None


def _turned(image: Image.Image, turn: Image.Transpose) -> Image.Image:
    turned = image.transpose(turn)
    turned.format = image.format
    return turned


def _to_rgb(image: Image.Image) -> RGBImage:
    if image.mode in _DEEP_MODES:
        return np.repeat(_eight_bits(image)[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise ImageError("floating-point images have no fixed range; convert to 8 or 16 bits")
    if image.mode == "LAB":
        raise ImageError("colours of the space Lab are not read; convert to RGB")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """A deep gray image scaled to 8 bits; Pillow's own conversion clips at 255 instead.

    Of 32 bits seldom more than 8 or 16 are used: the fewest of these that hold all values count.
    """
    gray = np.asarray(image).astype(np.int64)
    bits, signed = _depth(image)
    if bits == 32 and not signed:
        gray &= 0xFFFFFFFF
    if gray.min() < 0:
        raise ImageError("an image with negative values; convert to 8 or 16 bits")
    if _zero_is_white(image):  # Pillow sees to it where there are no more than 8 bits
        gray = (1 << bits) - 1 - gray
    if bits == 32:
        bits = next(n for n in (8, 16, 32) if gray.max() < 1 << n)
    return (gray >> (bits - 8)).clip(0, 255).astype(np.uint8)


def _depth(image: Image.Image) -> tuple[int, bool]:
    """Bits of a gray value, and whether it has a sign."""
    if image.format != "TIFF":
        return (16 if image.format in ("PNG", "PPM") or image.mode != "I" else 32), True
    tags = image.tag_v2  # type: ignore[attr-defined]
    return int(tags.get(0x102, (16,))[0]), tags.get(0x153, (1,))[0] == 2


def _zero_is_white(image: Image.Image) -> bool:
    """What a TIFF says by its PhotometricInterpretation (TIFF 6.0, page 37)."""
    return image.format == "TIFF" and image.tag_v2.get(0x106) == 0  # type: ignore[attr-defined]


def _missing_rows(pixels: RGBImage) -> int:
    """Rows below the last one in which there is anything; libjpeg fills with one colour."""
    uneven = np.ptp(pixels, axis=1).max(axis=1) > 2
    return int(uneven[::-1].argmax()) if uneven.any() else len(pixels)


def _has_detail(data: bytes) -> bool:
    """Whether the finest detail of a JPEG has begun to come; a progressive one keeps it for later.

    Its scans say from which to which of 63 frequencies they go (ITU-T T.81, B.2.3).
    """
    start = data.find(b"\xff\xc2")
    if start < 0:
        return True
    first = re.escape(data[start + 10 : start + 11])
    found = re.compile(rb"\xff\xda..\x01" + first + rb"..\x3f", re.DOTALL).search(data, start)
    return found is not None and data.find(b"\xff\xda", found.end()) >= 0


def _decode_heif(data: bytes, max_pixels: int) -> RGBImage:
    """The photos of telephones; libheif turns them upright."""
    import pi_heif

    file = pi_heif.open_heif(data, bgr_mode=False)
    check_pixels(file.size, max_pixels)
    return np.ascontiguousarray(_to_rgb(file.to_pillow()))


def _decode_with_opencv(data: bytes, max_pixels: int, known: bool) -> RGBImage:
    """The formats that only OpenCV knows; ``known``: the file begins as an image does."""
    import cv2

    if size := stated_size(data):  # OpenCV's own limit is five times as high
        check_pixels(size, max_pixels)
    image = None
    pixels = np.frombuffer(data, np.uint8)
    with silent_opencv(), suppress(cv2.error):
        image = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
        if data.startswith(_TIFF_STARTS):
            deep = cv2.imdecode(pixels, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
            if deep is not None and deep.dtype.kind == "f":
                image = None  # OpenCV 4 cuts off what is above 1, or takes 255 for the end
    if image is None:
        raise ImageError(
            "damaged image, or one of a rare kind" if known else f"not an image{_guess(data)}"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


_OPENCV_LOG = threading.Lock()

_SILENT = 0
"""OpenCV's LOG_LEVEL_SILENT."""


@contextmanager
def silent_opencv() -> Iterator[None]:
    """What OpenCV has to say about a file becomes an error, and no lines on stderr."""
    import cv2

    # OpenCV 4.10 has these in cv2 only, 5 in cv2.utils.logging only.
    log: Any = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    with _OPENCV_LOG:
        before = log.getLogLevel()
        log.setLogLevel(_SILENT)
        try:
            yield
        finally:
            log.setLogLevel(before)


def _guess(data: bytes) -> str:
    """What a file is instead, where a failed download or copy left it."""
    start = data[:IMAGE_HEAD_BYTES].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return ", but a web page"
    if start.startswith(b"version https://git-lfs"):
        return ", but a pointer of Git LFS; run git lfs pull"
    return "" if data[:IMAGE_HEAD_BYTES].strip(b"\0") else ", but zeros"
