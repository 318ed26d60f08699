"""What ``embed`` wrote, damaged or changed: every command names the file and what to type."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facetool.errors import FormatError
from facetool.files.align_description import AlignDescription
from facetool.files.align_manifest import AlignRow
from facetool.files.embed_plan import (
    EmbedPlan,
    ListedPhoto,
    PlannedPhotos,
    read_plans,
    write_plan,
)
from facetool.files.embeddings import read_embeddings
from facetool.files.face_shards import (
    DamagedShardError,
    FaceRow,
    FaceShard,
    ShardRecord,
    check_shard,
    shard_bytes,
    shard_name,
)
from facetool.files.represent_description import RepresentDescription
from facetool.files.storage import FolderStorage
from facetool.files.stored_faces import open_faces
from facetool.pipeline.merge import merge
from tests.field.commands import facetool

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

PHOTOS = ["ann/1.jpg", "ann/2.jpg", "bob/1.jpg"]
MADE = "the same facetool embed command makes it"
RESTORE = "put a copy of it back, or give facetool embed another OUT"


def embedded(out: Path, photos: list[str] = PHOTOS) -> Path:
    """OUT with two photos in a shard; the second one has no face."""
    storage = FolderStorage(out)
    description = RepresentDescription(
        network="dlib-resnet",
        embedding_size=3,
        threshold={"squared_l2": 0.5},
    )
    wanted = EmbedPlan(
        source="/photos",
        photos=len(photos),
        per_shard=2,
        listing="",
        align=AlignDescription(select="largest"),
        represent=description,
        keep_crops=True,
        facetool="0",
    )
    plan = write_plan(storage, wanted, [ListedPhoto(name, 9, "1") for name in photos])
    for shard in PlannedPhotos(storage, plan):
        rows = [face_row(photo.name) for photo in shard.photos]
        record = ShardRecord(plan.id, shard.number, None, "cpu", len(rows), {}, 0.1, 1.0, {})
        storage.write(
            shard_name(1, shard.number), shard_bytes(FaceShard(record, rows), keep_crops=True)
        )
    return out


def face_row(name: str) -> FaceRow:
    nothing = dict.fromkeys(AlignRow._fields, "")
    if name == PHOTOS[1]:
        return FaceRow(AlignRow(**{**nothing, "input": name, "status": "no-face"}))
    box = {"left": "1", "top": "2", "right": "30", "bottom": "40"}
    stated = {"input": name, "status": "aligned", "score": "0.5", "landmarks": "1 2 3 4", **box}
    row = AlignRow(**{**nothing, **stated})
    return FaceRow(row, 1, png=b"png", embedding=np.array([1, 2, 3], np.float32))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return embedded(tmp_path / "out")


def shards(out: Path) -> list[Path]:
    return sorted((out / "faces").iterdir())


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """Change the table of a shard, which goes on saying what it is."""
    table = parquet.read_table(path, use_threads=False)
    written = io.BytesIO()
    changed = change(table).replace_schema_metadata(table.schema.metadata)
    parquet.write_table(changed, written, write_page_checksum=True)
    path.write_bytes(written.getvalue())


def column(name: str, values: list[Any], kind: Any) -> Callable[[Any], Any]:
    def change(table: Any) -> Any:
        place = table.column_names.index(name)
        return table.set_column(place, name, pyarrow.array(values, kind))

    return change


TEXT, WHOLE = pyarrow.string(), pyarrow.int32()
DOUBLES, FLOATS = pyarrow.list_(pyarrow.float64()), pyarrow.list_(pyarrow.float32())
DAMAGE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no embeddings": (lambda table: table.drop_columns("embedding"), "it has no column embedding"),
    "no boxes": (lambda table: table.drop_columns("box"), "it has no column box"),
    "no crops": (lambda table: table.drop_columns("crop"), "it has no column crop"),
    "text for a box": (column("box", ["x", None], TEXT), "its column box is of the type string"),
    "doubles": (column("embedding", [[1, 2, 3], None], DOUBLES), "its column embedding is of the"),
    "not finite": (column("embedding", [[1, np.nan, 3], None], FLOATS), "embedding has a value th"),
    "null inside": (
        column("embedding", [[1, None, 3], None], FLOATS),
        "embedding has a value that",
    ),
    "too short": (column("embedding", [[1, 2], None], FLOATS), "embedding has not 3 numbers"),
    "no embedding": (column("embedding", [None, None], FLOATS), "it has not the embeddings of all"),
    "for no face": (column("embedding", [[1, 2, 3]] * 2, FLOATS), "it has not the embeddings of"),
    "a photo of null": (column("photo", [None, PHOTOS[1]], TEXT), "photo is not there in each row"),
    "another photo": (column("photo", ["x", PHOTOS[1]], TEXT), "its photos are not those of the"),
    "a face of null": (column("face", [None, 0], WHOLE), "face is not there in each row"),
    "two columns": (
        lambda table: table.append_column("face", table["face"]),
        "not a whole Parquet",
    ),
    "a row less": (lambda table: table.slice(1), "1 of 2 rows"),
}
ONLY_WHEN_READ = {
    "box": column("box", [[1.0, 2.0], None], DOUBLES),
    "landmarks": column("landmarks", [[1.0, np.inf], None], DOUBLES),
}
"""What ``embed`` looks at when it is given again, and others when they need it."""


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_made_again_and_named_by_all_others(
    damage: str, out: Path, tmp_path: Path
) -> None:
    change, why = DAMAGE[damage]
    rewrite(shards(out)[0], change)
    storage = FolderStorage(out)
    (plan,) = read_plans(storage)
    with pytest.raises(DamagedShardError) as raised:  # upon which embed makes it again
        check_shard(storage, plan, PlannedPhotos(storage, plan).shard(0))
    assert str(raised.value).startswith(f"{shards(out)[0]}: damaged ({why}")
    with pytest.raises(FormatError) as raised_by_all:
        read_embeddings(out)
    assert str(raised_by_all.value) == f"{shards(out)[0]} is damaged; {MADE}"
    report = merge(out, tmp_path / "reps")
    assert report.failures == [(str(shards(out)[0]), f"is damaged; {MADE}")]
    assert (tmp_path / "reps/labels.csv").read_text() == "1,bob/1.png\n"


@pytest.mark.parametrize("name", ONLY_WHEN_READ)
def test_what_only_some_read_is_told_when_it_is_read(name: str, out: Path) -> None:
    rewrite(shards(out)[0], ONLY_WHEN_READ[name])
    storage = FolderStorage(out)
    (plan,) = read_plans(storage)
    with pytest.raises(DamagedShardError, match=f"{name} has"):
        check_shard(storage, plan, PlannedPhotos(storage, plan).shard(0))
    faces = open_faces(storage)
    with pytest.raises(FormatError, match=f"00000.parquet is damaged; {MADE}"):
        list(faces.rows({"ann/1.png"}))


def test_a_shard_that_goes_meanwhile_is_named(out: Path) -> None:
    faces = open_faces(FolderStorage(out))
    shards(out)[0].unlink()
    with pytest.raises(FormatError, match=f"00000.parquet is missing; {MADE}"):
        next(faces.batches(1))


@pytest.mark.parametrize("what", ["missing", "damaged"])
def test_merge_names_the_only_shards(what: str, out: Path, tmp_path: Path) -> None:
    for shard in shards(out):
        shard.unlink() if what == "missing" else shard.write_bytes(b"PAR1")
    with pytest.raises(FormatError) as raised:
        merge(out, tmp_path / "reps")
    name = out / shard_name(1, 0)
    assert str(raised.value) == f"{name} (and 1 other) is {what}; {MADE}"


def test_a_record_that_is_not_one(out: Path) -> None:
    (shard, _) = shards(out)
    for stated, reason in (
        (b'{"plan": ', "damaged .what it says of itself cannot be read"),
        (b"[]", "damaged .what it says of itself cannot be read"),
        (b'{"plan": 7}', "damaged .what it says of itself cannot be read"),
        (b'{"plan": "x"}', "written by another version of facetool; move it away"),
        (None, "is no shard of facetool embed; move it away"),
    ):
        table = parquet.read_table(shard, use_threads=False)
        metadata = {} if stated is None else {b"facetool": stated}
        parquet.write_table(table.replace_schema_metadata(metadata), shard)
        storage = FolderStorage(out)
        (plan,) = read_plans(storage)
        with pytest.raises(FormatError, match=reason):
            check_shard(storage, plan, PlannedPhotos(storage, plan).shard(0))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "is damaged"),
        (flip, "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (Path.unlink, "is missing"),
    ],
)
def test_a_list_of_photos(damage: Callable[[Path], Any], reason: str, out: Path) -> None:
    (path,) = (out / "photos").iterdir()
    damage(path)
    with pytest.raises(FormatError) as raised:
        open_faces(FolderStorage(out))
    assert str(raised.value) == f"{path} {reason}; {RESTORE}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (b"", "damaged, not a JSON object"),
        (b"[1]", "damaged, not a JSON object"),
        (b"[" * 100_000, "damaged, not a JSON object"),
        (b"\xff{}", "damaged, not a JSON object"),
        (b'{"a": 1}', "no plan of facetool embed"),
        (b'{"format": 1}', "number is not there"),
        ({"photos": "3"}, "photos is not a whole number"),
        ({"per_shard": 0}, "listing or per_shard is none of facetool embed"),
        ({"listing": "../../x.parquet"}, "listing or per_shard is none of facetool embed"),
        ({"gone": 7}, "gone is not a list of names"),
        ({"gone": [7]}, "gone is not a list of names"),
        ({"unlisted": [["x", "y"]]}, "unlisted is not a list of names, reasons and numbers"),
        ({"unlisted": [["x", "y", "z"]]}, "unlisted is not a list of names, reasons and numbers"),
        ({"number": 2}, "it is the plan 2"),
        ({"per_shard": 7}, "changed since facetool embed wrote it"),
        ({"align": {"select": "all"}}, "changed since facetool embed wrote it"),
        ({"align": {"select": 1}}, "select is not a text"),
    ],
)
def test_a_plan(change: bytes | dict[str, Any], reason: str, out: Path) -> None:
    path = out / "plan.json"
    if isinstance(change, bytes):
        path.write_bytes(change)
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FormatError) as raised:
        read_plans(FolderStorage(out))
    message = str(raised.value)
    assert message.startswith(f"{path}: {reason}") and message.endswith(f"; {RESTORE}")
    assert "\n" not in message


def test_a_plan_of_another_version(out: Path) -> None:
    (out / "plan.json").write_text('{"format": 7}')
    with pytest.raises(FormatError, match="another version of facetool, which has to go on"):
        read_plans(FolderStorage(out))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["shard", "list", "plan"])
def test_every_command_says_so_in_one_line(what: str, out: Path, tmp_path: Path) -> None:
    """Those that read what embed wrote in the place of a represent folder."""
    (listing,) = (out / "photos").iterdir()
    path = {"shard": shards(out)[0], "list": listing, "plan": out / "plan.json"}[what]
    if what == "shard":
        rewrite(path, DAMAGE["no embeddings"][0])
    else:
        cut(path)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("ann/1,bob/1,0\n")
    commands: list[tuple[object, ...]] = [
        ("cluster", out),
        ("outliers", out),
        ("classify", "train", out),
        ("embed-plot", out, "-o", tmp_path / "plot.png"),
        ("lfw-eval", out, "--pairs", pairs, "--output", tmp_path),
        ("identify", out, out),
        ("merge", out, tmp_path / "reps"),
    ]
    if what == "plan":  # otherwise search asks for the network first
        commands.append(("search", out, tmp_path / "none.jpg"))
    for command in commands:
        done = facetool(*command)
        said = done.stderr.decode()
        lines = [line for line in said.splitlines() if str(path) in line]
        assert done.returncode == 1 and "Traceback" not in said, (command, said)
        assert len(lines) == 1, (command, said)
        assert (MADE if what == "shard" else RESTORE) in lines[0], (command, said)


def test_photos_whose_names_lead_out_are_not_merged(tmp_path: Path) -> None:
    names = ["../a.jpg", "/tmp/b.jpg", "ann/1.jpg", "c/../../d.jpg"]
    report = merge(embedded(tmp_path / "out", names), tmp_path / "reps")
    assert (tmp_path / "reps/labels.csv").read_text() == "1,ann/1.png\n"
    assert [name for name, _ in report.failures] == ["../a.jpg", "/tmp/b.jpg", "c/../../d.jpg"]
    assert {reason for _, reason in report.failures} == {"its name leads out of the folder"}
