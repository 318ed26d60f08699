"""The reader believes nothing that a file claims of itself."""

from pathlib import Path

import pytest

from facetool.errors import FormatError
from facetool.files.byte_reader import ByteReader


@pytest.fixture
def reader(tmp_path: Path) -> ByteReader:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(16)))
    return ByteReader(path)


def test_values_in_order(reader: ByteReader) -> None:
    assert reader.unpack("<HB") == (0x0100, 2)
    assert reader.array("<u2", 2).tolist() == [0x0403, 0x0605]
    assert bytes(reader.take(2)) == b"\x07\x08"
    assert reader.remaining == 7


@pytest.mark.parametrize("count", [17, 10**15, -1])
def test_more_than_there_is(reader: ByteReader, count: int) -> None:
    with pytest.raises(FormatError, match=r"file: .* announced"):
        reader.take(count)
    with pytest.raises(FormatError):
        reader.array("<f8", count)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    with pytest.raises(FormatError, match="empty"):
        ByteReader(tmp_path / "none")
