"""Where XMP is in JPEG and PNG files."""

import zlib

import pytest

from facetool.errors import FormatError
from facetool.files.xmp_inside import put_packet, read_packet

JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
EXIF = b"\xff\xe1\0\x10Exif\0\0MM\0*\0\0\0\x08"
ICC = b"\xff\xe2\0\x10ICC_PROFILE\0\1\1"
REST = b"\xff\xdb\0\x04\0\0\xff\xda\0\x02pixels\xff\xd9 and a film behind them"


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return len(content).to_bytes(4, "big") + kind + content + crc.to_bytes(4, "big")


HEAD, PIXELS, END = chunk(b"IHDR", bytes(13)), chunk(b"IDAT", b"pixels"), chunk(b"IEND", b"")
PNG = b"\x89PNG\r\n\x1a\n"


def test_in_a_jpeg_behind_jfif_and_exif() -> None:
    data = b"\xff\xd8" + JFIF + EXIF + ICC + REST
    assert read_packet(data) == b""
    with_one = put_packet(data, b"<one/>")
    start = b"\xff\xd8" + JFIF + EXIF
    segment = b"\xff\xe1\0\x25http://ns.adobe.com/xap/1.0/\0<one/>"
    assert with_one == start + segment + ICC + REST
    assert read_packet(with_one) == b"<one/>"
    other = put_packet(with_one, b"<another/>")
    assert read_packet(other) == b"<another/>" and other.endswith(ICC + REST)
    assert put_packet(other, b"<one/>") == with_one


def test_in_a_jpeg_it_stays_where_it_was() -> None:
    segment = b"\xff\xe1\0\x25http://ns.adobe.com/xap/1.0/\0<one/>"
    data = b"\xff\xd8" + ICC + segment + EXIF + REST
    assert put_packet(data, b"<two/>") == data.replace(b"<one/>", b"<two/>")


def test_in_front_of_further_images_its_length_may_change_and_behind_not() -> None:
    segment = b"\xff\xe1\0\x25http://ns.adobe.com/xap/1.0/\0<one/>"
    table = b"\xff\xe2\0\x08MPF\0MM"  # says where the other images are, from there on
    before = b"\xff\xd8" + segment + table + REST
    assert read_packet(put_packet(before, b"<longer/>")) == b"<longer/>"
    behind = b"\xff\xd8" + JFIF + table + segment + REST
    assert put_packet(behind, b"<two/>") == behind.replace(b"<one/>", b"<two/>")
    with pytest.raises(FormatError, match="several images"):
        put_packet(behind, b"<longer/>")


def test_in_a_png_behind_its_head() -> None:
    data = PNG + HEAD + PIXELS + END
    assert read_packet(data) == b""
    with_one = put_packet(data, b"<one/>")
    xmp = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<one/>")
    assert with_one == PNG + HEAD + xmp + PIXELS + END
    behind = PNG + HEAD + PIXELS + xmp + END + b"more"
    assert put_packet(behind, b"<two/>").endswith(b"more")
    assert read_packet(put_packet(behind, b"<two/>")) == b"<two/>"


def test_in_a_png_it_may_be_packed() -> None:
    packed = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<one/>")
    assert read_packet(PNG + HEAD + chunk(b"iTXt", packed) + END) == b"<one/>"
    with pytest.raises(FormatError, match="cannot be unpacked"):
        read_packet(PNG + HEAD + chunk(b"iTXt", packed[:21] + b"zz") + END)
    with pytest.raises(FormatError, match="ends early"):
        read_packet(PNG + HEAD + chunk(b"iTXt", packed[:-6]) + END)
    bomb = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(1 << 25))
    with pytest.raises(FormatError, match="too large"):
        read_packet(PNG + HEAD + chunk(b"iTXt", bomb) + END)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF1234WEBP", "JPEG and PNG files only"),
        (b"\xff\xd8" + JFIF[:10], "a segment ends behind the file"),
        (b"\xff\xd8" + JFIF + b"\xff\xe1\0\1", "a segment ends behind the file"),
        (b"\xff\xd8" + JFIF + b"pixels", "something else"),
        (PNG + HEAD[:-1], "a chunk ends behind the file"),
        (PNG + HEAD + b"\xff\xff\xff\xffIDAT0000", "a chunk ends behind the file"),
        (PNG + PIXELS + END, "without a head"),
    ],
)
def test_damaged_files_get_none(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        put_packet(data, b"<one/>")


def test_a_png_that_ends_anywhere_is_damaged_or_has_all_its_chunks() -> None:
    whole = PNG + HEAD + PIXELS + END
    ends = {len(PNG + HEAD), len(PNG + HEAD + PIXELS)}
    for length in {*range(len(PNG) + 1, len(whole))} - ends:
        with pytest.raises(FormatError, match="behind the file"):
            put_packet(whole[:length], b"<one/>")
    for length in ends:
        assert read_packet(put_packet(whole[:length], b"<one/>")) == b"<one/>"
