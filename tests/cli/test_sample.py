"""``facetool sample``."""

import subprocess
import sys
from pathlib import Path

import pytest

from facetool.evaluation.pairs import read_pairs


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facetool", "sample", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_draws(tmp_path: Path) -> None:
    done = run(tmp_path / "album", "--people", 3, "--images", 2, "--seed", 1)
    assert done.returncode == 0
    assert done.stdout == ""
    assert "3 people, 2 images of each, seed 1; 6 images drawn; 6 pairs in 3 folds" in done.stderr
    assert len(list((tmp_path / "album").glob("*/*_000[12].jpg"))) == 6
    assert read_pairs(tmp_path / "album" / "pairs.txt")


def test_wrong_numbers(tmp_path: Path) -> None:
    done = run(tmp_path / "album", "--people", 1)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "2 to" in done.stderr


def test_other_files_there(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    done = run(tmp_path)
    assert done.returncode == 2
    assert "name a new folder" in done.stderr
