"""What is in a shard, and that nothing else is taken for it."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import facetool
from facetool.errors import FormatError
from facetool.files import face_shards
from facetool.files.embed_plan import EmbedPlan, ListedPhoto, Shard
from facetool.files.face_shards import (
    CheckedRow,
    DamagedShardError,
    FaceShard,
    check_shard,
    present_shards,
    read_shard,
    rows_of,
    shard_bytes,
    shard_name,
)
from facetool.files.storage import FolderStorage
from tests.files.shards import face_row, make_plan, no_face_row, shard_of, vector_of, write_faces

parquet = pytest.importorskip("pyarrow.parquet")

NOT_UTF_8 = "a/\udcff.jpg"
ROWS = (
    face_row("a/1.jpg", reason="the largest of 2"),
    no_face_row("a/2.jpg"),
    no_face_row(NOT_UTF_8, "failed", "damaged"),
    face_row("a/3.jpg", 2),
)


def of_all_rows(number: int = 0) -> Shard:
    """A shard of the photos of all rows."""
    return Shard(number, [ListedPhoto(one.row.input, 1, "v1") for one in ROWS])


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "out")


@pytest.fixture
def plan(storage: FolderStorage) -> EmbedPlan:
    return make_plan(storage, ["a/1.jpg", "a/2.jpg", "a/3.jpg", NOT_UTF_8], keep_crops=True)


def described() -> dict[str, str]:
    """Name and type of each column, by the table of the module's docstring."""
    table = (face_shards.__doc__ or "").split("\n\n")[1].splitlines()[3:-1]
    cells = [re.split("  +", line) for line in table]
    return {name: kind for name, kind, _ in cells}


def test_the_columns_are_those_of_the_documentation(plan: EmbedPlan) -> None:
    schema = parquet.read_schema(io.BytesIO(shard_bytes(shard_of(plan, 0, ROWS), True)))
    kinds = {
        field.name: re.sub(r"list<\w+: (\w+)>", r"list of \1", str(field.type)) for field in schema
    }
    wanted = {**described(), "embedding": "list of float"}  # Parquet's name of float32
    assert described()["embedding"] == "list of float32"
    assert list(kinds.items()) == list(wanted.items())
    page = (Path(facetool.__file__).parents[1] / "docs" / "cluster.md").read_text("utf-8")
    (sentence,) = re.findall(r"^Columns of a shard are (.*?)\. ", page, re.M | re.S)
    named = [name for name in re.findall(r"`([\w-]+)`", sentence) if name != "--keep-crops"]
    assert named == schema.names
    without = parquet.read_schema(io.BytesIO(shard_bytes(shard_of(plan, 0, ROWS), False)))
    assert without.names == schema.names[:-1] and schema.names[-1] == "crop"


def test_what_is_read_is_what_was_written(storage: FolderStorage, plan: EmbedPlan) -> None:
    write_faces(storage, plan, 1, ROWS)
    record, columns = read_shard(storage, plan, 1)
    assert record == shard_of(plan, 1, ROWS).record
    assert list(rows_of(columns)) == [one.row for one in ROWS]
    assert columns["face"] == [1, 0, 0, 2]
    assert columns["crop"] == [one.png for one in ROWS]
    wanted = [vector_of("a/1.jpg"), np.zeros(3), np.zeros(3), vector_of("a/3.jpg", 2)]
    np.testing.assert_array_equal(columns["embedding"], wanted)
    assert columns["embedding"].dtype == np.float32
    assert check_shard(storage, plan, of_all_rows(1)) == (
        record,
        [CheckedRow(one.row.input, one.row.status, one.row.reason, one.face) for one in ROWS],
    )
    assert list(read_shard(storage, plan, 1, ["face", "score"])[1]) == ["face", "score"]


def test_other_programs_read_numbers_and_null(plan: EmbedPlan) -> None:
    table = parquet.read_table(io.BytesIO(shard_bytes(shard_of(plan, 0, ROWS), True))).to_pydict()
    assert table["box"] == [[10, 20.5, 110.125, 141], None, None, [10, 20.5, 110.125, 141]]
    assert table["landmarks"][:2] == [[1.5, 2, 3, 4.25], None]
    assert table["turn"][:2] == [90, None]
    assert table["score"][:2] == [0.987654, None]
    assert [table[name][0] for name in ("size", "sharpness", "exposure")] == [100, 12.3, 0.456]
    assert [table[name][0] for name in ("yaw", "pitch", "roll")] == [-7.8, 0, 9]
    assert [table[name][1] for name in ("size", "roll", "embedding", "crop")] == [None] * 4
    assert table["embedding"][0] == vector_of("a/1.jpg").tolist()
    assert table["photo"][2].encode() == b"a/\xef\xbf\xbdff.jpg"


def test_a_shard_without_faces(storage: FolderStorage, plan: EmbedPlan) -> None:
    write_faces(storage, plan, 0, ROWS[1:3])
    _, columns = read_shard(storage, plan, 0)
    np.testing.assert_array_equal(columns["embedding"], np.zeros((2, 3)))
    assert list(rows_of(columns)) == [one.row for one in ROWS[1:3]]


def test_the_present_shards_of_a_plan(storage: FolderStorage) -> None:
    assert present_shards(storage, 1) == set()
    for name in ("plan-1-00003", "plan-1-100000", "plan-2-00004", "plan-11-00005"):
        storage.write(f"faces/{name}.parquet", b"")
    for name in (".plan-1-00006.parquet.part", "plan-1-00007.parquet~", "plan-1-8.parquet"):
        storage.write(f"faces/{name}", b"")
    assert present_shards(storage, 1) == {3, 100_000}
    assert [shard_name(1, 3), shard_name(1, 100_000)] == [
        "faces/plan-1-00003.parquet",
        "faces/plan-1-100000.parquet",
    ]


def _write(storage: FolderStorage, plan: EmbedPlan, shard: FaceShard) -> None:
    storage.write(shard_name(plan.number, 0), shard_bytes(shard, plan.keep_crops))


def test_shards_of_something_else(storage: FolderStorage, plan: EmbedPlan) -> None:
    good = shard_of(plan, 0, ROWS)
    for change, said in (
        ({"plan": "0" * 64}, "is shard 0 of the plan 00000000…, not 0 of"),
        ({"shard": 1}, "is shard 1 of the plan"),
        ({"weights_sha256": "cd" * 32}, "other weights"),
    ):
        _write(storage, plan, replace(good, record=good.record._replace(**change)))
        for read in (
            lambda: read_shard(storage, plan, 0),
            lambda: check_shard(storage, plan, of_all_rows()),
        ):
            with pytest.raises(FormatError, match=said) as found:
                read()
            assert not isinstance(found.value, DamagedShardError)  # making it again would not help
    storage.write(shard_name(1, 0), _without_record(shard_bytes(good, True)))
    with pytest.raises(FormatError, match="no shard of facetool embed"):
        read_shard(storage, plan, 0)
    with pytest.raises(FileNotFoundError):
        read_shard(storage, plan, 1)


def _without_record(data: bytes) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(parquet.read_table(io.BytesIO(data)).replace_schema_metadata(), sink)
    return sink.getvalue()


def test_rows_that_are_missing(storage: FolderStorage, plan: EmbedPlan) -> None:
    _write(storage, plan, replace(shard_of(plan, 0, ROWS), rows=ROWS[:3]))
    with pytest.raises(DamagedShardError, match="3 of 4 rows"):
        read_shard(storage, plan, 0)


def test_damage_to_any_column_is_noticed(storage: FolderStorage, plan: EmbedPlan) -> None:
    """Each page has a checksum, and all of them are read, the embeddings' too."""
    whole = shard_bytes(shard_of(plan, 0, ROWS), True)
    meta = parquet.ParquetFile(io.BytesIO(whole)).metadata.row_group(0)
    chunks = [meta.column(number) for number in range(meta.num_columns)]
    assert len(chunks) == len(described())
    for chunk in chunks:
        # The page's data, at the end of the column; what comes before are its headers.
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        for place in (start + chunk.total_compressed_size - 1, start + 1):
            data = bytearray(whole)
            data[place] ^= 1
            storage.write(shard_name(1, 0), bytes(data))
            with pytest.raises(DamagedShardError):
                check_shard(storage, plan, of_all_rows())
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        storage.write(shard_name(1, 0), whole[:length])
        with pytest.raises(DamagedShardError):
            check_shard(storage, plan, of_all_rows())
