"""Pairs files in the forms in which people have them: the same pairs, the same folds."""

from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError
from facetool.evaluation.pairs import Pairs, read_pairs

PLAIN = """2\t2
Ann\t1\t4
Bo\t2\t3
Ann\t2\tBo\t1
Ann\t3\tBo\t2
Bo\t1\t2
Ann\t1\t2
Bo\t12\tCy\t3
Cy\t1\tAnn\t9
"""


def read(folder: Path, text: str | bytes) -> Pairs:
    path = folder / "pairs.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_pairs(path)


def paths(label_first: bool = False) -> str:
    lines = []
    for line in PLAIN.splitlines()[1:]:
        cells = line.split("\t")
        same = len(cells) == 3
        one, n, other, m = (cells[0], cells[1], cells[0], cells[2]) if same else cells
        row = [f"{one}/{one}_{int(n):04d}.jpg", f"{other}/{other}_{int(m):04d}.jpg"]
        label = str(int(same))
        lines.append("\t".join([label, *row] if label_first else [*row, label]))
    return "\n".join(lines) + "\n"


KAGGLE = "name,imagenum1,imagenum2,\n" + "".join(
    line.replace("\t", ",") + ("," if line.count("\t") == 2 else "") + "\n"
    for line in PLAIN.splitlines()[1:]
)

FORMS: dict[str, str | bytes] = {
    "byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "UTF-16 of PowerShell": PLAIN.replace("\n", "\r\n").encode("utf-16"),
    "Windows' line ends": PLAIN.replace("\n", "\r\n"),
    "trailing tabs": PLAIN.replace("\n", "\t\n"),
    "commas": PLAIN.replace("\t", ","),
    "semicolons": PLAIN.replace("\t", ";"),
    "quoted": PLAIN.replace("Ann", '"Ann"').replace("\t", ","),
    "spaces": PLAIN.replace("\t", "  "),
    "one-number header": PLAIN.replace("2\t2\n", "2\n", 1),
    "no header": PLAIN.removeprefix("2\t2\n"),
    "Kaggle's columns": KAGGLE,
    "paths and label": paths(),
    "label and paths": paths(label_first=True),
    "columns, paths and label": "img1,img2,label\n" + paths().replace("\t", ","),
    "paths of Windows": paths().replace("/", "\\"),
    "true and false": paths().replace("\t1\n", "\tTrue\n").replace("\t0\n", "\tFalse\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pairs_and_folds(tmp_path: Path, form: str) -> None:
    plain, found = read(tmp_path, PLAIN), read(tmp_path, FORMS[form])
    ends = [[str(image).split("/")[-1] for image in side] for side in (found.first, found.second)]
    assert ends == [[str(image) for image in side] for side in (plain.first, plain.second)]
    assert found.trials.same.tolist() == plain.trials.same.tolist()
    assert found.trials.folds.tolist() == plain.trials.folds.tolist() == [0] * 4 + [1] * 4
    assert found.trials.fold_count == 2


def test_view_1_is_cut_into_folds_of_both_kinds(tmp_path: Path) -> None:
    """As pairsDevTest.txt: one block of each kind below one number."""
    lines = [f"Ann\t{n}\t{n + 1}" for n in range(1, 51)]
    lines += [f"Ann\t{n}\tBo\t{n}" for n in range(1, 51)]
    found = read(tmp_path, "50\n" + "\n".join(lines))
    found.trials.check()
    assert found.trials.fold_count == 10
    for kind in (True, False):
        rows = found.trials.same == kind
        assert np.bincount(found.trials.folds[rows]).tolist() == [5] * 10
    same = read(tmp_path, "\n".join(lines))  # without any header
    assert same.trials.folds.tolist() == found.trials.folds.tolist()


def test_pairs_in_no_order_are_cut_in_ten(tmp_path: Path) -> None:
    same = np.random.default_rng(0).permutation([True, False] * 50)
    text = "".join(f"a/{n}.jpg b/{n}.jpg {int(one)}\n" for n, one in enumerate(same))
    found = read(tmp_path, text)
    assert found.trials.same.tolist() == same.tolist()
    assert found.trials.folds.tolist() == (np.arange(100) // 10).tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("50\nAnn\t1\t2\n", "line 2: line 1 announces 100 pairs, the file has 1"),
        ("a.jpg b.jpg 1\nAnn 1 2\n", "line 2: expected"),
        ("2\t1\nAnn\t1\t2\nAnn\t1\n", "line 3: expected"),
        ("Ann\t1\t2\nAnn\n", "line 2: expected"),
        ("a.jpg b.jpg 2\n", "line 1|no pairs"),
        ("img1,img2,label\n", "no pairs"),
        ("img1,img2,label\na.jpg,b.jpg,maybe\n", "line 2: expected .* or two paths and a label"),
        ("label\na\n", "line 1: expected"),
        ("\n \n", "an empty file"),
        ("a.jpg," + "b" * 200_000 + ",1\n", "not lines of pairs"),
    ],
)
def test_other_files_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(tmp_path, text)


def test_the_samples_give_the_same_pairs(shared: Path) -> None:
    folder = shared / "cases" / "pairs"
    plain = read_pairs(folder / "p_ok.txt")
    files = sorted(folder.glob("*.txt"))
    assert len(files) == 6
    for path in files:
        found = read_pairs(path)
        for one, other in ((found.first, plain.first), (found.second, plain.second)):
            assert [str(i).split("/")[-1] for i in one] == [str(i) for i in other], path.name
        assert found.trials.folds.tolist() == plain.trials.folds.tolist(), path.name
