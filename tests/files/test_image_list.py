"""Lists of images."""

from pathlib import Path

import pytest

from facetool.errors import FormatError
from facetool.files.image_list import read_image_list

POINTS = "\t".join(str(number) for number in range(14))


@pytest.mark.parametrize(
    ("line", "path", "label", "aligned", "points"),
    [
        ("1\tann/1.jpg\t7", "ann/1.jpg", 7, True, None),
        ("0\tann/1.jpg\t7", "ann/1.jpg", 7, False, None),
        (f"0\tann/1.jpg\t7\t{POINTS}", "ann/1.jpg", 7, False, [4, 5, 6, 7, 8]),
        ("1\t7\tann/1.jpg", "ann/1.jpg", 7, True, None),
        ("812\t7.0\tann/1.jpg\r", "ann/1.jpg", 7, True, None),
        ("812\t7\t0.5\tann/1.jpg", "ann/1.jpg", 7, True, None),
        ("3\t16777215\t1", "1", 16777215, True, None),
    ],
)
def test_lines_of_both_kinds(
    line: str, path: str, label: int, aligned: bool, points: list[int] | None, tmp_path: Path
) -> None:
    (tmp_path / "a.lst").write_text(f"\n{line}\n", newline="")
    (found,) = read_image_list(tmp_path / "a.lst")
    assert found[:3] == (path, label, aligned)
    assert (None if found.points is None else found.points[:, 0].tolist()) == points


@pytest.mark.parametrize(
    "line",
    [
        "x\t7\tann/1.jpg",
        "-1\t7\tann/1.jpg",
        "812\t7\t",
        "812\t7",
        "812\t7.5\tann/1.jpg",
        "812\t-1\tann/1.jpg",
        "812\t16777216\tann/1.jpg",
        "812\tinf\tann/1.jpg",
        "1\tann/1.jpg\tbob",
        f"0\tann/1.jpg\t7\t{POINTS}".replace("9", "nan"),
        f"0\tann/1.jpg\t7\t{POINTS}".replace("9", ""),
    ],
)
def test_a_line_of_neither_kind_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.lst").write_text(f"1\tann/1.jpg\t7\n{line}\n")
    with pytest.raises(FormatError, match=r"a.lst line 2: expected <aligned>"):
        read_image_list(tmp_path / "a.lst")
