from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import KFold

from facetool.errors import FacetoolError, FormatError
from facetool.evaluation.pair_images import LfwImage
from facetool.evaluation.pairs import Trials, read_pairs

TEXT = """2\t1
Ann_Lee\t1\t4
Ann_Lee\t2\tBo_Kim\t1
Bo_Kim\t1\t2
Bo_Kim\t12\tCy\t3
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pairs.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_read(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path, TEXT))
    assert pairs.first == [("Ann_Lee", 1), ("Ann_Lee", 2), ("Bo_Kim", 1), ("Bo_Kim", 12)]
    assert pairs.second == [("Ann_Lee", 4), ("Bo_Kim", 1), ("Bo_Kim", 2), ("Cy", 3)]
    assert pairs.trials.same.tolist() == [True, False, True, False]
    assert pairs.trials.folds.tolist() == [0, 0, 1, 1]
    assert pairs.trials.fold_count == 2
    assert str(LfwImage("Bo_Kim", 12)) == "Bo_Kim_0012"


def test_names_with_spaces_between_tabs_and_lines_with_spaces_only(tmp_path: Path) -> None:
    assert read_pairs(write(tmp_path, TEXT.replace("Ann_Lee", "Ann Lee"))).first[0].person == (
        "Ann Lee"
    )
    assert read_pairs(write(tmp_path, TEXT.replace("\t", " "))).first[3] == ("Bo_Kim", 12)
    assert len(read_pairs(write(tmp_path, TEXT.replace("\n", "\r\n") + "\n\n"))) == 4


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "2", r"line 3: a genuine pair is due here"),
        (1, "two\tone", r"line 1: expected"),
        (1, "0\t1", r"line 1: expected"),
        (2, "Ann_Lee\t1", r"line 2: expected <person> <n> <n> or"),
        (3, "Ann_Lee\t2\tBo_Kim\tx", r"line 3: expected"),
        (3, "Ann_Lee\t-2\tBo_Kim\t1", r"line 3: expected"),
        (3, "Ann_Lee\t2\t\t1", r"line 3: expected"),
        (3, "Ann_Lee\t2\t1", r"line 3: an impostor pair is due here"),
        (4, "Bo_Kim\t1\tCy\t2", r"line 4: a genuine pair is due here"),
        (5, "", r"line 4: line 1 announces 4 pairs, the file has 3"),
        (5, "Bo_Kim\t12\tCy\t3\nCy\t1\t2", r"line 6: line 1 announces 4 pairs, the file has 5"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: int, text: str, message: str) -> None:
    lines = TEXT.splitlines()
    lines[line - 1] = text
    with pytest.raises(FormatError, match=rf"pairs\.txt {message}"):
        read_pairs(write(tmp_path, "\n".join(lines) + "\n"))


def test_not_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(FormatError, match="not a text file"):
        read_pairs(tmp_path / "pairs.txt")
    (tmp_path / "pairs.txt").write_bytes(b"")
    with pytest.raises(FormatError, match="an empty file"):
        read_pairs(tmp_path / "pairs.txt")
    with pytest.raises(FormatError, match="cannot read"):
        read_pairs(tmp_path / "none.txt")


@pytest.mark.parametrize("number", [600, 604, 23])
def test_folds_in_order_are_those_of_kfold(number: int) -> None:
    trials = Trials.in_order(np.zeros(number, bool))
    for fold, (_, test) in enumerate(KFold(10, shuffle=False).split(np.zeros(number))):
        np.testing.assert_array_equal(np.flatnonzero(trials.folds == fold), test)


def test_too_little_to_cross_validate() -> None:
    trials = Trials.in_order(np.array([True, False] * 10))
    trials.check()
    with pytest.raises(FacetoolError, match="only 1 of 10 folds"):
        trials[trials.folds == 3].check()
    with pytest.raises(FacetoolError, match="all pairs that can be scored are genuine"):
        trials[trials.same].check()
    sorted_pairs = Trials.in_order(np.array([True] * 10 + [False] * 10))
    sorted_pairs.check_folds()
    with pytest.raises(FacetoolError, match="no fold has both"):
        sorted_pairs.check()


def test_lfw(shared: Path) -> None:
    pairs = read_pairs(shared / "lfw-a" / "pairs.txt")
    assert len(pairs) == 6000 and pairs.trials.same.sum() == 3000
    assert np.bincount(pairs.trials.folds).tolist() == [600] * 10
    assert pairs.first[0] == ("Abel_Pacheco", 1) and pairs.second[-1] == ("Sok_An", 1)
    assert all(
        (str(a)[:-5] == str(b)[:-5]) == same
        for a, b, same in zip(pairs.first, pairs.second, pairs.trials.same, strict=True)
    )
