"""The nearest by a graph on disk, against comparing all."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError, UsageError
from facetool.evaluation.nearest import nearest_rows
from facetool.evaluation.vector_index import DESCRIPTION, INDEX, VectorIndex

pytest.importorskip("usearch")


def people(count: int, size: int = 32) -> np.ndarray:
    """Photos of people, eight of each, some longer than others."""
    rng = np.random.default_rng(0)
    means = np.repeat(rng.normal(size=(count // 8, size)), 8, axis=0)
    vectors = means + 0.3 * rng.normal(size=means.shape)
    return (vectors * rng.uniform(0.8, 1.25, (len(vectors), 1))).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "reps.npy", people(4000))
    (tmp_path / "labels.csv").write_text("".join(f"1,{row}.png\n" for row in range(4000)))
    return tmp_path


def index_of(folder: Path, *, unit_length: bool = True, left_out: int = 0) -> VectorIndex:
    vectors = np.load(folder / "reps.npy", mmap_mode="r")
    return VectorIndex(
        folder, vectors, np.arange(len(vectors)) >= left_out, unit_length=unit_length
    )


@pytest.mark.parametrize("unit_length", [True, False])
def test_it_finds_what_comparing_all_finds(folder: Path, unit_length: bool) -> None:
    index = index_of(folder, unit_length=unit_length)
    assert 0.97 < index.recall <= 1
    vectors = np.load(folder / "reps.npy")
    for row in (0, 1234, 3999):
        probe = vectors[row].astype(np.float64)
        probe /= np.linalg.norm(probe) if unit_length else 1
        rows, distances = index.nearest(probe, 8)
        wanted, lengths = nearest_rows(probe, vectors, 8, unit_length=unit_length)
        assert rows.tolist() == wanted.tolist() and rows[0] == row
        assert distances == pytest.approx(lengths, abs=1e-12)


@pytest.mark.parametrize("dtype", [">f4", "<f8"])
def test_numbers_may_be_stored_in_other_ways(folder: Path, dtype: str) -> None:
    vectors = np.load(folder / "reps.npy")
    np.save(folder / "reps.npy", vectors.astype(dtype))
    rows, _ = index_of(folder).nearest(vectors[7].astype(np.float64), 1)
    assert rows.tolist() == [7]


def test_embeddings_that_are_not_finite_are_refused(folder: Path) -> None:
    vectors = np.load(folder / "reps.npy")
    vectors[1234, 5] = np.nan
    np.save(folder / "reps.npy", vectors)
    with pytest.raises(FormatError, match=r"reps\.npy: row 1235 has a value that is not finite"):
        index_of(folder, left_out=1000)


def test_what_it_misses_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_EFFORT": 1, "_FEWEST": 1, "CANDIDATES": 1, "_EFFORT_TO_BUILD": 1}.items():
        monkeypatch.setattr(f"facetool.evaluation.vector_index.{name}", value)
    assert index_of(folder).recall < 0.97


@pytest.mark.slow
def test_it_is_built_once_and_again_when_embeddings_changed(folder: Path) -> None:
    index_of(folder)
    first = (folder / INDEX).stat().st_mtime_ns
    index_of(folder)
    assert (folder / INDEX).stat().st_mtime_ns == first
    np.save(folder / "reps.npy", people(4000)[::-1])
    probe = people(4000)[3999].astype(np.float64)
    rows, _ = index_of(folder).nearest(probe / np.linalg.norm(probe), 1)
    assert rows.tolist() == [0] and (folder / INDEX).stat().st_mtime_ns != first


def test_faces_that_are_left_out_are_not_found(folder: Path) -> None:
    index_of(folder)
    index = index_of(folder, left_out=8)
    probe = people(4000)[0].astype(np.float64)
    rows, _ = index.nearest(probe / np.linalg.norm(probe), 20)
    assert rows.min() >= 8 and index.recall > 0.97


@pytest.mark.slow
def test_a_damaged_index(folder: Path) -> None:
    index_of(folder)
    whole = (folder / INDEX).read_bytes()
    (folder / INDEX).write_bytes(whole[:1000])  # what a full disk left: it is built again
    assert index_of(folder).recall > 0.97
    (folder / INDEX).write_bytes(bytes(len(whole)))
    with pytest.raises(FormatError, match="remove it, and it is built again"):
        index_of(folder)
    described = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps({**described, "size": "large"}))
    assert index_of(folder).recall > 0.97


def test_without_the_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch", None)
    with pytest.raises(UsageError, match=r"pip install 'facetool\[index\]'"):
        index_of(folder)


def test_an_index_that_does_not_fit_into_memory(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("facetool.evaluation.vector_index.available_memory", lambda: 1000)
    with pytest.raises(UsageError, match="leave index out"):
        index_of(folder)
    assert not (folder / INDEX).exists()
