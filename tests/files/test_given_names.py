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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,image,note\nAnn,a.png,my aunt\n", "line 1: the column 'note' would be lost"),
        ("name,image,name\nAnn,a.png,Bo\n", "line 1: the column 'name' would be lost"),
        ("name,image\nZed\n", "line 2: Zed has no image; fill it in or remove the row"),
        ("name,image\nZed,\n", "line 2: Zed has no image"),
        ("image,name\na.png,Ann\n,Zed\n", "line 3: Zed has no image"),
        ("name,image\nAnn, the first,a.png\n", "line 2: more than the columns of line 1; a name"),
        ("name,image,\n,a.png,who is that?\n", "line 2: more than the columns of line 1"),
    ],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "names.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=f"names.csv {message}"):
        read_given_names(path)


def test_empty_cells_and_rows_are_nothing_to_lose(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("name,image,,\nAnn,a.png,,\n\n,,,\nBo,b.png,,,,\n")
    assert read_given_names(path) == {"a.png": "Ann", "b.png": "Bo"}
