"""``names.csv`` as facetool and spreadsheets write it."""

from pathlib import Path

import pytest

from facetool.errors import FormatError
from facetool.files.given_names import read_given_names, write_given_names


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    write_given_names(path, [("Ann, the first", 'a "1".png'), ("", "b.png"), ("Bo", "\udcff.png")])
    assert read_given_names(path) == {'a "1".png': "Ann, the first", "\udcff.png": "Bo"}


@pytest.mark.parametrize(
    "data",
    [
        b"name;image\r\nAnn;a.png\r\n;b.png\r\n",
        "Image,Name\na.png, Ann \nb.png,\n".encode("utf-16"),
        b"\xef\xbb\xbfgroup,name,image\n1,Ann,a.png\n1,Ann,a.png\n2,,b.png\n3\n",
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "names.csv"
    path.write_bytes(data)
    assert read_given_names(path) == {"a.png": "Ann"}


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("image,person\na.png,Ann\n")
    with pytest.raises(FormatError, match=r"names.csv line 1: expected the columns name,image"):
        read_given_names(path)
    path.write_text("name,image\nAnn,a.png\nBo,a.png\n")
    with pytest.raises(FormatError, match=r"line 3: a\.png is named Bo here and Ann above"):
        read_given_names(path)
