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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError, one_line
from facetool.files.align_manifest import (
    QUALITY_COLUMNS,
    AlignRow,
    format_number,
    format_quality,
)
from facetool.files.embed_plan import EmbedPlan, need_pyarrow, open_parquet
from facetool.files.storage import Storage
from facetool.files.text import as_utf8, counted, from_utf8

FACES_FOLDER = "faces"
_KEY = b"facetool"
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
        "photo": arrow.array([as_utf8(one.row.input) for one in rows], arrow.string()),
        "status": arrow.array([one.row.status for one in rows], arrow.string()),
        "reason": arrow.array([one.row.reason for one in rows], arrow.string()),
        "face": arrow.array([one.face for one in rows], arrow.int32()),
        "box": arrow.array([one.row.edges for one in rows], arrow.list_(arrow.float64())),
        "score": arrow.array([_number(one.row.score) for one in rows], arrow.float64()),
        "landmarks": arrow.array(
            [_numbers(one.row.landmarks) for one in rows], arrow.list_(arrow.float64())
        ),
        "turn": arrow.array(
            [int(one.row.turn) if one.row.turn else None for one in rows], arrow.int32()
        ),
        **{
            name: arrow.array([_number(getattr(one.row, name)) for one in rows], arrow.float64())
            for name in QUALITY_COLUMNS
        },
        "embedding": arrow.array([one.embedding for one in rows], arrow.list_(arrow.float32())),
    }
    if keep_crops:
        columns["crop"] = arrow.array([one.png for one in rows], arrow.binary())
    described = json.dumps(shard.record._asdict()).encode()
    table = arrow.table(columns).replace_schema_metadata({_KEY: described})
    sink = io.BytesIO()
    parquet.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=["status", "reason"],
        write_page_checksum=True,
    )
    return sink.getvalue()


def check_shard(
    storage: Storage, plan: EmbedPlan, number: int
) -> tuple[ShardRecord, list[tuple[str, str, str]]]:
    """What a shard says of itself, and of each row photo, status and reason; all of it is checked.

    Args:
        storage: OUT.
        plan: that it should be of.
        number: of the shard.

    Raises:
        FileNotFoundError: it is not there.
        DamagedShardError: it is not whole.
        FormatError: it is a shard of another plan.
    """
    name = shard_name(plan.number, number)
    file, place = _open(storage, name), storage.join(name)
    record = _record_of(file, place, plan, number)
    table = _table(file, place)  # every page has a checksum
    columns = (table.column(name).to_pylist() for name in ("photo", "status", "reason"))
    return record, [
        (from_utf8(photo), status, reason) for photo, status, reason in zip(*columns, strict=True)
    ]


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
    name = shard_name(plan.number, number)
    file = _open(storage, name)
    place = storage.join(name)
    record = _record_of(file, place, plan, number)
    table = _table(file, place, columns)
    found = {
        name: _matrix(table.column(name)) if name == "embedding" else table.column(name).to_pylist()
        for name in table.column_names
    }
    if "photo" in found:
        found["photo"] = [from_utf8(name) for name in found["photo"]]
    return record, found


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


def _open(storage: Storage, name: str) -> Any:
    data = storage.read(name)
    try:
        return open_parquet(data, page_checksum_verification=True)
    except (OSError, ValueError) as error:
        raise DamagedShardError(f"{storage.join(name)}: damaged ({one_line(error)})") from error


def _table(file: Any, place: str, columns: Sequence[str] | None = None) -> Any:
    try:
        return file.read(columns, use_threads=False)
    except (OSError, ValueError) as error:
        raise DamagedShardError(f"{place}: damaged ({one_line(error)})") from error


def _record_of(file: Any, place: str, plan: EmbedPlan, number: int) -> ShardRecord:
    stated = (file.metadata.metadata or {}).get(_KEY)
    if stated is None:
        raise FormatError(f"{place} is no shard of facetool embed; choose another OUT")
    try:
        record = ShardRecord(**json.loads(stated))
    except (TypeError, ValueError) as error:
        raise FormatError(f"{place}: written by another version of facetool ({error})") from None
    if (record.plan, record.shard) != (plan.id, number):
        raise FormatError(
            f"{place} is shard {record.shard} of the plan {record.plan[:8]}…, not {number} of "
            f"{plan.id[:8]}…; move it away, and the same facetool embed command makes the right one"
        )
    if record.weights_sha256 != plan.represent.weights_sha256:
        raise FormatError(f"{place}: made with other weights than the plan says; move it away")
    if record.rows != file.metadata.num_rows:
        rows = counted(record.rows, "row")
        raise DamagedShardError(f"{place}: {file.metadata.num_rows:,} of {rows}")
    return record


def _matrix(column: Any) -> NDArray[np.float32]:
    """Embeddings (N, D) of a column; rows that are null are 0."""
    present = column.is_valid().to_numpy()
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    faces = int(present.sum())
    size = len(values) // faces if faces else 0
    found = np.zeros((len(column), size), np.float32)
    found[present] = values.reshape(faces, size)
    return found


def _number(text: str) -> float | None:
    return float(text) if text else None


def _numbers(text: str) -> list[float] | None:
    return [float(part) for part in text.split()] if text else None
