"""The XMP inside a JPEG or PNG file: read, or replaced with every other byte staying as it is.

Sources: Adobe, XMP Specification Part 3, "Storage in Files", January 2020: 1.1.3 (JPEG: a segment
APP1) and 1.1.5 (PNG: a chunk iTXt); CIPA DC-007-2021 (several images in one file, MPF): its offsets
count from its own segment, so that nothing behind that one may change its length.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from facetool.errors import FormatError

_JPEG_START = b"\xff\xd8"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_SEVERAL_IMAGES = b"MPF\0"
_LONGEST_SEGMENT = 0xFFFF - 2
"""Bytes of a segment behind its length."""

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_XMP = b"XML:com.adobe.xmp\0"


class _Part(NamedTuple):
    """A segment or a chunk: where it begins and ends in the file, its kind, what it holds."""

    start: int
    end: int
    kind: bytes
    content: bytes


def read_packet(data: bytes) -> bytes:
    """The XMP inside a file; empty where there is none.

    Raises:
        FormatError: it is neither JPEG nor PNG, or damaged.
    """
    if data.startswith(_JPEG_START):
        for part in _segments(data):
            if part.kind == b"\xe1" and part.content.startswith(_JPEG_XMP):
                return part.content.removeprefix(_JPEG_XMP)
        return b""
    for part in _chunks(data):
        if part.kind == b"iTXt" and part.content.startswith(_PNG_XMP):
            return _text_of(part.content.removeprefix(_PNG_XMP))
    return b""


def put_packet(data: bytes, packet: bytes) -> bytes:
    """The file with another XMP; all other bytes are those of ``data``, in their order.

    Raises:
        FormatError: it is neither JPEG nor PNG, is damaged, or has no room for it.
    """
    if data.startswith(_JPEG_START):
        return _put_segment(data, packet)
    return _put_chunk(data, packet)


def _put_segment(data: bytes, packet: bytes) -> bytes:
    content = _JPEG_XMP + packet
    if len(content) > _LONGEST_SEGMENT:
        raise FormatError("its XMP and the names together are longer than a JPEG file may hold")
    segment = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    place: tuple[int, int] | None = None
    images = len(data)
    head = len(_JPEG_START)  # JFIF and Exif come first
    for part in _segments(data):
        if part.kind == b"\xe0" or (part.kind == b"\xe1" and part.content[:4] == b"Exif"):
            head = part.end if part.start == head else head
        if part.kind == b"\xe1" and part.content.startswith(_JPEG_XMP) and place is None:
            place = part.start, part.end
        if part.kind == b"\xe2" and part.content.startswith(_SEVERAL_IMAGES):
            images = min(images, part.start)
    start, end = place or (head, head)
    if start > images and end - start != len(segment):
        raise FormatError("it holds several images, whose places would no longer be found")
    return data[:start] + segment + data[end:]


def _segments(data: bytes) -> Iterator[_Part]:
    """Those before the image data (ITU-T T.81, B.1.1.3)."""
    place = len(_JPEG_START)
    while True:
        start = place
        if data[place : place + 1] != b"\xff":
            raise FormatError("damaged: between its segments is something else")
        while data[place : place + 1] == b"\xff":
            place += 1
        kind, stated = data[place : place + 1], data[place + 1 : place + 3]
        if kind in (b"\xda", b"\xd9"):
            return
        place += 1
        length = int.from_bytes(stated, "big")
        if len(stated) < 2 or length < 2 or place + length > len(data):
            raise FormatError("damaged: a segment ends behind the file")
        yield _Part(start, place + length, kind, data[place + 2 : place + length])
        place += length


def _put_chunk(data: bytes, packet: bytes) -> bytes:
    body = b"iTXt" + _PNG_XMP + b"\0\0\0\0" + packet
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    place: tuple[int, int] | None = None
    for part in _chunks(data):
        if part.kind == b"IHDR":
            place = part.end, part.end
        if part.kind == b"iTXt" and part.content.startswith(_PNG_XMP):
            place = part.start, part.end
            break
    if place is None:
        raise FormatError("damaged: a PNG file without a head")
    return data[: place[0]] + chunk + data[place[1] :]


def _chunks(data: bytes) -> Iterator[_Part]:
    if not data.startswith(_PNG_START):
        raise FormatError("names are written into JPEG and PNG files only")
    place = len(_PNG_START)
    while place < len(data):
        if place + 12 > len(data):
            raise FormatError("damaged: a chunk ends behind the file")
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        if end > len(data):
            raise FormatError("damaged: a chunk ends behind the file")
        kind = data[place + 4 : place + 8]
        content = b"" if kind == b"IDAT" else data[place + 8 : end - 4]
        yield _Part(place, end, kind, content)
        if kind == b"IEND":
            return
        place = end


def _text_of(content: bytes) -> bytes:
    """The text of an iTXt chunk behind its keyword (PNG, third edition, 11.3.3.4)."""
    compressed, rest = content[:1] == b"\1", content[2:]
    text = rest.split(b"\0", 2)[-1]
    if not compressed:
        return text
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(text, _LARGEST_TEXT)
    except zlib.error as error:
        raise FormatError(f"damaged: its XMP cannot be unpacked ({error})") from error
    if not unpacker.eof:
        large = len(found) >= _LARGEST_TEXT
        raise FormatError("its XMP is too large" if large else "damaged: its XMP ends early")
    return found


_LARGEST_TEXT = 1 << 24
