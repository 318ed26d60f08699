"""What ``merge`` writes and goes on with; test_embed.py compares it with ``represent``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError, UsageError
from facetool.files.embed_plan import EmbedPlan
from facetool.files.embeddings_writer import EmbeddingsWriter
from facetool.files.storage import FolderStorage
from facetool.pipeline.merge import merge
from tests.files.shards import face_row, make_plan, no_face_row, vector_of, write_faces

pytest.importorskip("pyarrow")

PHOTOS = [f"{person}/{number}.jpg" for person in "ab" for number in (1, 2, 3)]


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "out")


@pytest.fixture
def plan(storage: FolderStorage) -> EmbedPlan:
    """Three shards with a face in every photo but one."""
    plan = make_plan(storage, PHOTOS)
    write_faces(storage, plan, 0, [face_row(photo) for photo in PHOTOS[:2]])
    write_faces(storage, plan, 1, [face_row(PHOTOS[2]), no_face_row(PHOTOS[3], "failed", "dark")])
    write_faces(storage, plan, 2, [face_row(photo) for photo in PHOTOS[4:]])
    return plan


@pytest.fixture(autouse=True)
def _two_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facetool.pipeline.merge._ROWS", 2)


def check(reps: Path, photos: list[str]) -> None:
    """That the folder holds the faces of these photos."""
    wanted = np.stack([vector_of(photo) for photo in photos])
    np.testing.assert_array_equal(np.load(reps / "reps.npy"), wanted)
    np.testing.assert_array_equal(
        np.loadtxt(reps / "reps.csv", np.float32, delimiter=",", ndmin=2), wanted
    )
    numbers = {person: number for number, person in enumerate(sorted({p[0] for p in photos}), 1)}
    lines = [f"{numbers[photo[0]]},{photo.replace('.jpg', '.png')}" for photo in photos]
    assert (reps / "labels.csv").read_text().splitlines() == lines
    counts = json.loads((reps / "represent.json").read_text())["counts"]
    assert counts["images"] == len(photos)


FACES = [*PHOTOS[:3], *PHOTOS[4:]]


def test_files_and_report(storage, plan, tmp_path) -> None:
    report = merge(storage.place, tmp_path / "reps")
    assert (report.counts, report.failures) == (
        {"merged": 5, "failed": 1},
        [("b/1.jpg", "dark")],
    )
    check(tmp_path / "reps", FACES)


def stop_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the next writers as a kill would, once they have written so many batches."""
    add = EmbeddingsWriter.add

    def stop(self: EmbeddingsWriter, *batch) -> None:
        if self.batches == batches:
            raise KeyboardInterrupt
        add(self, *batch)

    monkeypatch.setattr(EmbeddingsWriter, "add", stop)


def test_it_goes_on_where_it_was_stopped(storage, plan, tmp_path, monkeypatch) -> None:
    for batches in (1, 2):
        with monkeypatch.context() as patched:
            stop_after(batches, patched)
            with pytest.raises(KeyboardInterrupt):
                merge(storage.place, tmp_path / "reps")
        assert not (tmp_path / "reps/reps.npy").exists()
    added = []
    add = EmbeddingsWriter.add

    def note(self: EmbeddingsWriter, vectors, *rest) -> None:
        added.append(len(vectors))
        add(self, vectors, *rest)

    monkeypatch.setattr(EmbeddingsWriter, "add", note)
    assert merge(storage.place, tmp_path / "reps").counts["merged"] == 5
    assert added == [1]
    check(tmp_path / "reps", FACES)


def test_a_shard_that_has_come_since_it_was_stopped(storage, plan, tmp_path, monkeypatch) -> None:
    """The batches begin elsewhere then, so that none of the earlier ones can stay."""
    first = tmp_path / "out/faces/plan-1-00000.parquet"
    first.rename(tmp_path / "kept")
    with monkeypatch.context() as patched:
        stop_after(1, patched)
        with pytest.raises(KeyboardInterrupt):
            merge(storage.place, tmp_path / "reps")
    (tmp_path / "kept").rename(first)
    merge(storage.place, tmp_path / "reps")
    check(tmp_path / "reps", FACES)


def test_missing_shards_are_named(storage, plan, tmp_path) -> None:
    missing = tmp_path / "out/faces/plan-1-00002.parquet"
    missing.unlink()
    report = merge(storage.place, tmp_path / "reps")
    assert report.exit_code == 1
    assert [name for name, _ in report.failures] == [str(missing), "b/1.jpg"]
    check(tmp_path / "reps", FACES[:3])


def test_other_embeddings_are_written_over_only_when_told(storage, plan, tmp_path) -> None:
    reps = tmp_path / "reps"
    merge(storage.place, reps)
    before = {path.name: path.read_bytes() for path in reps.iterdir()}
    other = FolderStorage(tmp_path / "other")
    write_faces(other, make_plan(other, ["c/1.jpg"]), 0, [face_row("c/1.jpg")])
    with pytest.raises(UsageError, match="holds other embeddings"):
        merge(other.place, reps)
    assert {path.name: path.read_bytes() for path in reps.iterdir()} == before
    merge(other.place, reps, overwrite=True)
    check(reps, ["c/1.jpg"])
    merge(other.place, reps)  # its own


def test_other_embeddings_whose_files_await_their_names(
    storage, plan, tmp_path, monkeypatch
) -> None:
    """Killed once all was written: they are whole, so they are not written over either."""
    reps = tmp_path / "reps"

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("facetool.files.embeddings_writer.complete_renames", killed)
        with pytest.raises(KeyboardInterrupt):
            merge(storage.place, reps)
    assert not (reps / "reps.npy").exists()
    other = FolderStorage(tmp_path / "other")
    write_faces(other, make_plan(other, ["c/1.jpg"]), 0, [face_row("c/1.jpg")])
    with pytest.raises(UsageError, match="holds other embeddings"):
        merge(other.place, reps)
    check(reps, FACES)


def test_nothing_to_merge(storage, tmp_path) -> None:
    with pytest.raises(FormatError, match=r"no plan\.json"):
        merge(storage.place, tmp_path / "reps")
    write_faces(storage, make_plan(storage, ["a.jpg"]), 0, [no_face_row("a.jpg")])
    with pytest.raises(UsageError, match="holds no faces"):
        merge(storage.place, tmp_path / "reps")
    assert not (tmp_path / "reps").exists()
