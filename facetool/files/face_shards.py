"""Shards: Parquet files with a row for every face, and for every photo without one.

==========  =====================  ======================================================
column      type                   what
==========  =====================  ======================================================
photo       string                 name of the photo, as in ``align.csv``; see ``as_utf8``
status      string                 ``aligned``, ``center``, ``no-face`` or ``failed``
reason      string                 why there is no face, or why it is not the usual one
face        int32                  number of the face in its photo, from 1; 0: there is none
box         list of double         left, top, right, bottom in pixels of the upright photo
score       double                 the detector's
landmarks   list of double         x1, y1, x2, y2 … in pixels of the upright photo
turn        int32                  degrees clockwise that the photo was turned by
size        double                 shorter edge of the box; so the next, as in ``align.csv``
sharpness   double                 of the crop
exposure    double                 its mean brightness, 0…1
yaw         double                 degrees that the head is turned to the right of the photo
pitch       double                 degrees up
roll        double                 degrees clockwise
embedding   list of float32        as ``represent`` gives it
crop        binary                 PNG, where crops are kept
==========  =====================  ======================================================

From box on, what a row does not have is null; pyarrow before 26 cannot read nulls among lists of
a fixed size.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError
from facetool.files.align_manifest import (
    MADE_CROP,
    QUALITY_COLUMNS,
    AlignRow,
    format_number,
    format_quality,
)
from facetool.files.embed_plan import (
    PARQUET_DAMAGE,
    EmbedPlan,
    Shard,
    need_pyarrow,
    open_parquet,
)
from facetool.files.fields import checked
from facetool.files.json_file import parse_json
from facetool.files.storage import Storage
from facetool.files.text import as_utf8, counted, from_utf8

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

FACES_FOLDER = "faces"
_KEY = b"facetool"
_LISTS = ("box", "landmarks", "embedding")
_MOVE = "move it away, and the same facetool embed command makes the right one"
_NAME = re.compile(r"plan-(\d+)-(\d{5,})\.parquet")


@dataclass
class FaceRow:
    """One face, or one photo without a face.

    Attributes:
        row: what ``align.csv`` would say of it.
        face: number of the face in its photo, from 1; 0 where there is none.
        crop: its pixels until they are embedded, uint8 (H, W, 3).
        png: the crop as a PNG file, where crops are kept.
        embedding: float32 (D,), once it is there.
    """

    row: AlignRow
    face: int = 0
    crop: NDArray[np.uint8] | None = None
    png: bytes | None = None
    embedding: NDArray[np.float32] | None = None


class ShardRecord(NamedTuple):
    """What a shard says of itself.

    Attributes:
        plan: checksum of the plan that it is of.
        shard: its number.
        weights_sha256: of the network.
        device: what the network ran on.
        rows: in the shard.
        statuses: how many rows of each status.
        seconds: from its first photo to its last row.
        finished: when that was, in seconds since the epoch.
        versions: of facetool and of the libraries that computed.
    """

    plan: str
    shard: int
    weights_sha256: str | None
    device: str
    rows: int
    statuses: Mapping[str, int]
    seconds: float
    finished: float
    versions: Mapping[str, str]


@dataclass(frozen=True)
class FaceShard:
    """The rows of a shard, and what it says of itself."""

    record: ShardRecord
    rows: Sequence[FaceRow] = field(repr=False)


def shard_name(plan: int, shard: int) -> str:
    """Its place in OUT: ``faces/plan-1-00000.parquet``."""
    return f"{FACES_FOLDER}/plan-{plan}-{shard:05}.parquet"


def present_shards(storage: Storage, plan: int) -> set[int]:
    """Numbers of the shards of a plan that are there, whatever is in them."""
    found = map(_NAME.fullmatch, storage.names(FACES_FOLDER))
    return {int(name[2]) for name in found if name and int(name[1]) == plan}


def shard_bytes(shard: FaceShard, keep_crops: bool) -> bytes:
    """A shard as a Parquet file.

    Args:
        shard: its rows, all of them embedded.
        keep_crops: whether there is a column of crops.
    """
    arrow, parquet = need_pyarrow()
    rows = shard.rows
    columns = {
        "photo": [as_utf8(one.row.input) for one in rows],
        "status": [one.row.status for one in rows],
        "reason": [one.row.reason for one in rows],
        "face": [one.face for one in rows],
        "box": [one.row.edges for one in rows],
        "score": [_number(one.row.score) for one in rows],
        "landmarks": [_numbers(one.row.landmarks) for one in rows],
        "turn": [int(one.row.turn) if one.row.turn else None for one in rows],
        **{name: [_number(getattr(one.row, name)) for one in rows] for name in QUALITY_COLUMNS},
        "embedding": [one.embedding for one in rows],
        "crop": [one.png for one in rows],
    }
    types = _column_types(keep_crops)
    arrays = {name: arrow.array(columns[name], kind) for name, kind in types.items()}
    described = json.dumps(shard.record._asdict()).encode()
    table = arrow.table(arrays).replace_schema_metadata({_KEY: described})
    sink = io.BytesIO()
    parquet.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=["status", "reason"],
        write_page_checksum=True,
    )
    return sink.getvalue()


def _column_types(keep_crops: bool) -> dict[str, Any]:
    """Arrow's type of each column."""
    arrow, _ = need_pyarrow()
    numbers = arrow.list_(arrow.float64())
    types = {
        "photo": arrow.string(),
        "status": arrow.string(),
        "reason": arrow.string(),
        "face": arrow.int32(),
        "box": numbers,
        "score": arrow.float64(),
        "landmarks": numbers,
        "turn": arrow.int32(),
        **dict.fromkeys(QUALITY_COLUMNS, arrow.float64()),
        "embedding": arrow.list_(arrow.float32()),
    }
    return {**types, "crop": arrow.binary()} if keep_crops else types


class CheckedRow(NamedTuple):
    """What counting and naming faces needs of a row."""

    photo: str
    status: str
    reason: str
    face: int


_ALWAYS = CheckedRow._fields
"""The columns that are null in no row."""


def check_shard(
    storage: Storage, plan: EmbedPlan, shard: Shard, columns: Sequence[str] | None = None
) -> tuple[ShardRecord, list[CheckedRow]]:
    """What a shard says of itself and of its rows, which are those of its photos.

    Args:
        storage: OUT.
        plan: that it should be of.
        shard: its number and its photos.
        columns: those to be looked at besides what is needed anyway; default: all.

    Raises:
        FileNotFoundError: it is not there.
        DamagedShardError: it is not whole.
        FormatError: it is a shard of another plan.
    """
    needed = None if columns is None else (*_ALWAYS, "embedding", *columns)
    with _opened(storage, plan, shard.number) as (record, file):
        table = file.read(needed, use_threads=False)  # every page has a checksum
        found = _values(table, plan)
        rows = list(map(CheckedRow, *(found[name] for name in _ALWAYS)))
        if {row.photo for row in rows} != {photo.name for photo in shard.photos}:
            raise _DamageError("its photos are not those of the plan")
        if table.column("embedding").is_valid().to_pylist() != [
            row.status in MADE_CROP for row in rows
        ]:
            raise _DamageError("it has not the embeddings of all faces, and of faces only")
    return record, rows


def read_shard(
    storage: Storage, plan: EmbedPlan, number: int, columns: Sequence[str] | None = None
) -> tuple[ShardRecord, Mapping[str, Any]]:
    """What a shard says of itself, and its columns: lists, and of ``embedding`` float32 (N, D).

    Args:
        storage: OUT.
        plan: that it should be of.
        number: of the shard.
        columns: their names; default: all.

    Raises:
        FileNotFoundError: it is not there.
        DamagedShardError: it is not whole.
        FormatError: it is a shard of another plan.
    """
    with _opened(storage, plan, number) as (record, file):
        return record, _values(file.read(columns, use_threads=False), plan)


ROW_COLUMNS = ("photo", "status", "reason", "box", "score", "landmarks", "turn", *QUALITY_COLUMNS)
"""What :func:`rows_of` takes."""


def rows_of(columns: Mapping[str, Any]) -> Iterable[AlignRow]:
    """The rows of ``align.csv`` of a shard, but for the names of crops."""
    for photo, status, reason, box, score, landmarks, turn, *quality in zip(
        *(columns[name] for name in ROW_COLUMNS), strict=True
    ):
        left, top, right, bottom = map(format_number, box) if box else ("",) * 4
        yield AlignRow(
            photo,
            status,
            reason,
            left,
            top,
            right,
            bottom,
            "" if score is None else f"{score:.6g}",
            " ".join(map(format_number, landmarks or ())),
            "",
            "" if turn is None else str(turn),
            *format_quality(quality),
        )


class DamagedShardError(FormatError):
    """A shard is not whole; it can be made again."""


class _DamageError(Exception):
    """What is wrong with a shard."""


@contextmanager
def _opened(
    storage: Storage, plan: EmbedPlan, number: int
) -> Iterator[tuple[ShardRecord, ParquetFile]]:
    """A shard of a plan; what turns out to be damaged while it is read is said of the shard."""
    name = shard_name(plan.number, number)
    place = storage.join(name)
    data = storage.read(name)
    try:
        file = open_parquet(data, page_checksum_verification=True)
        record = _record_of(file, place, plan, number)
        _check_types(file, plan)
        yield record, file
    except _DamageError as error:
        raise DamagedShardError(f"{place}: damaged ({error})") from error
    except PARQUET_DAMAGE as error:
        raise DamagedShardError(f"{place}: damaged (not a whole Parquet file)") from error


def _record_of(file: ParquetFile, place: str, plan: EmbedPlan, number: int) -> ShardRecord:
    stated = (file.metadata.metadata or {}).get(_KEY)
    if stated is None:
        raise FormatError(f"{place} is no shard of facetool embed; {_MOVE}")
    try:
        values = parse_json(stated, place)
        record = ShardRecord(**{**values, **checked(values, plan=str, device=str, rows=int)})
    except FormatError:
        raise _DamageError("what it says of itself cannot be read") from None
    except TypeError:
        raise FormatError(f"{place}: written by another version of facetool; {_MOVE}") from None
    if (record.plan, record.shard) != (plan.id, number):
        raise FormatError(
            f"{place} is shard {record.shard} of the plan {record.plan[:8]}…, not {number} of "
            f"{plan.id[:8]}…; {_MOVE}"
        )
    if record.weights_sha256 != plan.represent.weights_sha256:
        raise FormatError(f"{place}: made with other weights than the plan says; {_MOVE}")
    if record.rows != file.metadata.num_rows:
        rows = counted(record.rows, "row")
        raise _DamageError(f"{file.metadata.num_rows:,} of {rows}")
    return record


def _check_types(file: ParquetFile, plan: EmbedPlan) -> None:
    found = {column.name: column.type for column in file.schema_arrow}
    for name, kind in _column_types(plan.keep_crops).items():
        if name not in found:
            raise _DamageError(f"it has no column {name}")
        if found[name] != kind:
            raise _DamageError(f"its column {name} is of the type {found[name]}, not {kind}")


def _values(table: Any, plan: EmbedPlan) -> dict[str, Any]:
    """The columns of a table: lists, and of ``embedding`` float32 (N, D), where null 0."""
    found: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        if name in _ALWAYS and column.null_count:
            raise _DamageError(f"{name} is not there in each row")
        if name in _LISTS:
            _check_lists(column, name, plan)
        found[name] = (
            _matrix(column, plan.embedding_size) if name == "embedding" else column.to_pylist()
        )
    if "photo" in found:
        found["photo"] = [from_utf8(name) for name in found["photo"]]
    return found


def _check_lists(column: Any, name: str, plan: EmbedPlan) -> None:
    lists = column.combine_chunks()
    length = {"box": 4, "embedding": plan.embedding_size}.get(name)
    lengths = set(lists.value_lengths().to_pylist()) - {None}
    if length is not None and not lengths <= {length}:
        raise _DamageError(f"{name} has not {length} numbers in each row")
    if not np.isfinite(lists.flatten().to_numpy(zero_copy_only=False)).all():  # null becomes NaN
        raise _DamageError(f"{name} has a value that is not finite")


def _matrix(column: Any, size: int) -> NDArray[np.float32]:
    """Embeddings (N, D) of a column; rows that are null are 0."""
    found = np.zeros((len(column), size), np.float32)
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    found[column.is_valid().to_numpy()] = values.reshape(-1, size)
    return found


def _number(text: str) -> float | None:
    return float(text) if text else None


def _numbers(text: str) -> list[float] | None:
    return [float(part) for part in text.split()] if text else None
