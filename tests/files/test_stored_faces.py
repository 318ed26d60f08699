"""Faces of several plans, read as one folder: which ones count, in which order, by which names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError
from facetool.files.embed_plan import EmbedPlan
from facetool.files.face_shards import shard_name
from facetool.files.storage import FolderStorage
from facetool.files.stored_faces import open_faces, planned_description
from tests.files.shards import WEIGHTS, face_row, make_plan, no_face_row, vector_of, write_faces

pytest.importorskip("pyarrow")


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "out")


@pytest.fixture
def plans(storage: FolderStorage) -> tuple[EmbedPlan, EmbedPlan]:
    """Of the second plan a/2 is changed, a/6 new; a/3 is gone since."""
    first = make_plan(storage, [f"a/{n}.jpg" for n in range(1, 6)], keep_crops=True)
    write_faces(storage, first, 0, [face_row("a/1.jpg"), face_row("a/2.jpg")])
    write_faces(
        storage,
        first,
        1,
        [face_row("a/3.jpg"), face_row("a/4.jpg", reason="the largest of 3 faces")],
    )
    write_faces(storage, first, 2, [no_face_row("a/5.jpg")])
    second = make_plan(storage, ["a/2.jpg", "a/6.jpg"], number=2, gone=["a/3.jpg"])
    center = face_row("a/6.jpg", plan=2, reason="no face")
    center.row = center.row._replace(status="center")
    write_faces(storage, second, 0, [face_row("a/2.jpg", plan=2), center], "GPU")
    return first, second


NAMES = ["a/1.png", "a/2.png", "a/4.png", "a/6.png"]
VECTORS = np.stack(
    [
        vector_of("a/1.jpg"),
        vector_of("a/2.jpg", plan=2),
        vector_of("a/4.jpg"),
        vector_of("a/6.jpg", plan=2),
    ]
)


@pytest.mark.parametrize("size", [1, 3, 4, 9])
def test_each_face_that_counts_has_its_own_embedding(storage, plans, size) -> None:
    faces = open_faces(storage)
    assert (faces.names, faces.size) == (NAMES, 3)
    batches = list(faces.batches(size))
    assert [len(names) for names, _ in batches] == [min(size, 4 - n) for n in range(0, 4, size)]
    assert [name for names, _ in batches for name in names] == NAMES
    np.testing.assert_array_equal(np.concatenate([vectors for _, vectors in batches]), VECTORS)


def test_what_is_said_of_them(storage, plans) -> None:
    faces = open_faces(storage)
    described = faces.description
    assert described.counts == {"images": 4, "failed": 0}
    assert described.missed_faces == ["a/6.png"]
    assert described.largest_of_several == ["a/4.png"]
    assert (described.device, described.input) == ("cpu, GPU", storage.place)
    assert (described.network, described.weights_sha256) == ("made-up", WEIGHTS)
    assert (faces.missing, faces.failures) == ([], [])
    planned = planned_description(storage)
    assert (planned.network, planned.input, planned.counts) == ("made-up", storage.place, None)


def test_rows_of_some_crops(storage, plans) -> None:
    rows = list(open_faces(storage).rows({"a/4.png", "a/2.png", "a/3.png", "none.png"}))
    assert sorted((row.output, row.input, row.reason) for row in rows) == [
        ("a/2.png", "a/2.jpg", ""),
        ("a/4.png", "a/4.jpg", "the largest of 3 faces"),
    ]


def test_crops_by_their_names(storage, plans) -> None:
    faces = open_faces(storage)
    assert faces.crop("a/1.png") == face_row("a/1.jpg").png
    assert faces.crop("a/4.png") == face_row("a/4.jpg").png
    assert faces.crop("a/2.png") is None  # of the second plan, which keeps none
    for name in ("a/3.png", "a/0.png", "a/9.png", ""):
        with pytest.raises(KeyError):
            faces.crop(name)


def test_a_shard_that_is_wanted_again_after_more_than_are_held(storage) -> None:
    """The first photo's crops are the first and the last by their names."""
    photos = ["a.jpg", *(f"a.k{number}.jpg" for number in range(1, 8))]
    plan = make_plan(storage, photos, select="all")
    wanted = {}
    for shard in range(4):
        pair = photos[2 * shard : 2 * shard + 2]
        write_faces(storage, plan, shard, [face_row(one, face) for one in pair for face in (1, 2)])
        for photo in pair:
            stem = photo.removesuffix(".jpg")
            wanted[f"{stem}.png"] = vector_of(photo)
            wanted[f"{stem}.face2.png"] = vector_of(photo, 2)
    faces = open_faces(storage)
    assert faces.names == sorted(wanted)
    assert (faces.names[0], faces.names[-1]) == ("a.face2.png", "a.png")
    ((_, vectors),) = faces.batches(100)
    np.testing.assert_array_equal(vectors, [wanted[name] for name in sorted(wanted)])


def test_shards_that_are_not_there_and_photos_that_failed(storage) -> None:
    plan = make_plan(storage, ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"])
    write_faces(storage, plan, 1, [face_row("3.jpg"), no_face_row("4.jpg", "failed", "cut short")])
    storage.write(shard_name(1, 2), b"PAR1 of something else PAR1")
    faces = open_faces(storage)
    assert faces.names == ["3.png"]
    assert [Path(name).name for name, _ in faces.missing] == [
        "plan-1-00000.parquet",
        "plan-1-00002.parquet",
    ]
    assert [reason.split(";")[0] for _, reason in faces.missing] == ["is missing", "is damaged"]
    assert faces.failures == [("4.jpg", "cut short")]
    assert faces.description.counts == {"images": 1, "failed": 4}  # 1, 2 and 5 are not known


def test_a_shard_whose_photos_no_longer_count_may_be_missing(storage) -> None:
    make_plan(storage, ["1.jpg", "2.jpg"])
    second = make_plan(storage, ["1.jpg"], number=2, gone=["2.jpg"])
    write_faces(storage, second, 0, [face_row("1.jpg", plan=2)])
    faces = open_faces(storage)
    assert (faces.names, faces.missing) == (["1.png"], [])


def test_two_photos_of_one_stem(storage) -> None:
    plan = make_plan(storage, ["1.jpg", "1.png"])
    write_faces(storage, plan, 0, [face_row("1.jpg"), face_row("1.png")])
    names, vectors = next(open_faces(storage).batches(2))
    assert names == ["1.jpg.png", "1.png.png"]
    np.testing.assert_array_equal(vectors, [vector_of("1.jpg"), vector_of("1.png")])


def test_nothing_there(storage) -> None:
    with pytest.raises(FormatError, match=r"holds no plan\.json"):
        open_faces(storage)
    with pytest.raises(FormatError, match=r"holds no plan\.json"):
        planned_description(storage)


@pytest.mark.parametrize(("flip", "size"), [("none", 3), ("sum", 3), ("concat", 6)])
def test_flips_that_append(storage, flip, size) -> None:
    plan = make_plan(storage, ["1.jpg"])
    assert replace(plan, represent=replace(plan.represent, flip=flip)).embedding_size == size
