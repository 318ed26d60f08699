"""What ``merge`` writes and goes on with; test_embed.py compares it with ``represent``."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest

from facetool.embedding.good_crops import leave_out_poor
from facetool.embedding.people import read_people
from facetool.errors import FormatError, UsageError
from facetool.files.embed_plan import EmbedPlan
from facetool.files.embeddings import describe_embeddings
from facetool.files.embeddings_writer import EmbeddingsWriter
from facetool.files.storage import FolderStorage, open_storage
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


def note_input(reps: Path, input: str) -> None:
    """What ``represent.json`` says of the place, as an earlier version would have noted it."""
    described = json.loads((reps / "represent.json").read_text())
    (reps / "represent.json").write_text(json.dumps({**described, "input": input}))


@pytest.mark.parametrize("noted", [None, "out"])
def test_a_folder_of_the_same_name_elsewhere_is_another(
    storage, plan, tmp_path, monkeypatch, noted
) -> None:
    """OUT is given as it lies in the current folder; ``noted``: as an earlier version did."""
    monkeypatch.chdir(tmp_path)
    merge("out", "reps")
    if noted is not None:
        note_input(tmp_path / "reps", noted)
    before = (tmp_path / "reps/reps.npy").read_bytes()
    other = FolderStorage(tmp_path / "B/out")
    write_faces(other, make_plan(other, ["c/1.jpg"]), 0, [face_row("c/1.jpg")])
    monkeypatch.chdir(tmp_path / "B")
    with pytest.raises(UsageError, match="holds other embeddings"):
        merge("out", "../reps")
    assert (tmp_path / "reps/reps.npy").read_bytes() == before


@pytest.mark.parametrize("given", ["out", "./out", "{}/out", "B/../out", "link", "file://{}/out"])
@pytest.mark.parametrize("noted", [None, "out", "../elsewhere/out"])
def test_the_same_out_however_it_is_given(
    storage, plan, tmp_path, monkeypatch, given, noted
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "B").mkdir()
    (tmp_path / "link").symlink_to("out")
    merge("out", "reps")
    if noted is not None:
        note_input(tmp_path / "reps", noted)
    make_plan(storage, [], number=2, gone=["a/1.jpg"])
    merge(given.format(tmp_path), "reps")
    check(tmp_path / "reps", FACES[1:])
    assert json.loads((tmp_path / "reps/represent.json").read_text())["input"] == str(
        tmp_path / "out"
    )


def test_an_out_that_has_moved_is_the_same_but_a_copy_that_grew_is_not(
    storage, plan, tmp_path
) -> None:
    merge(storage.place, tmp_path / "reps")
    copytree(tmp_path / "out", tmp_path / "copy")
    make_plan(FolderStorage(tmp_path / "copy"), [], number=2, gone=["a/1.jpg"])
    with pytest.raises(UsageError, match="holds other embeddings"):
        merge(tmp_path / "copy", tmp_path / "reps")
    rmtree(tmp_path / "out")
    merge(tmp_path / "copy", tmp_path / "reps")
    check(tmp_path / "reps", FACES[1:])


def test_what_is_noted_is_found_from_anywhere(storage, plan, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    merge("out", "reps")
    (tmp_path / "B/out").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "B")
    for folder in ("../reps", "../out"):
        people = read_people(Path(folder), unsorted=True, unit_length=True)
        assert leave_out_poor(people, Path(folder), min_face=1).images == people.images
        assert describe_embeddings(Path(folder)).input == str(tmp_path / "out")


def test_a_url_is_noted_as_it_is(tmp_path) -> None:
    pytest.importorskip("fsspec")
    storage = open_storage(f"memory://{tmp_path.name}/out")
    write_faces(storage, make_plan(storage, ["c/1.jpg"]), 0, [face_row("c/1.jpg")])
    merge(storage.place, tmp_path / "reps")
    merge(storage.place, tmp_path / "reps")
    described = json.loads((tmp_path / "reps/represent.json").read_text())
    assert described["input"] == storage.place


def test_nothing_to_merge(storage, tmp_path) -> None:
    with pytest.raises(FormatError, match=r"no plan\.json"):
        merge(storage.place, tmp_path / "reps")
    write_faces(storage, make_plan(storage, ["a.jpg"]), 0, [no_face_row("a.jpg")])
    with pytest.raises(UsageError, match="holds no faces"):
        merge(storage.place, tmp_path / "reps")
    assert not (tmp_path / "reps").exists()
