"""Shards of made-up faces, and the plans that they are of, without a network or photos."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facetool.files.align_description import AlignDescription
from facetool.files.align_manifest import AlignRow
from facetool.files.embed_plan import EmbedPlan, ListedPhoto, write_plan
from facetool.files.face_shards import FaceRow, FaceShard, ShardRecord, shard_bytes, shard_name
from facetool.files.represent_description import RepresentDescription
from facetool.files.storage import Storage

SIZE = 3
WEIGHTS = "ab" * 32


def make_plan(
    storage: Storage,
    photos: Sequence[str],
    *,
    number: int = 1,
    keep_crops: bool = False,
    select: str = "largest",
    gone: Sequence[str] = (),
) -> EmbedPlan:
    """Write a plan with two photos in a shard."""
    plan = EmbedPlan(
        number=number,
        source="photos",
        photos=len(photos),
        per_shard=2,
        listing="",
        align=AlignDescription(select=select),
        represent=RepresentDescription(
            network="made-up", weights_sha256=WEIGHTS, embedding_size=SIZE, flip="none"
        ),
        keep_crops=keep_crops,
        gone=gone,
        facetool="0",
    )
    return write_plan(storage, plan, [ListedPhoto(name, 1, f"v{number}") for name in photos])


def vector_of(photo: str, face: int = 1, plan: int = 1) -> NDArray[np.float32]:
    """The embedding of a face, another one for each."""
    seed = zlib.crc32(f"{photo} {face} {plan}".encode("utf-8", "surrogateescape"))
    return np.random.default_rng(seed).standard_normal(SIZE).astype(np.float32)


def face_row(photo: str, face: int = 1, plan: int = 1, reason: str = "") -> FaceRow:
    """A face that was found."""
    row = AlignRow(
        photo,
        "aligned",
        reason,
        *("10", "20.5", "110.125", "141"),
        "0.987654",
        "1.5 2 3 4.25",
        turn="90",
        size="100",
        sharpness="12.3",
        exposure="0.456",
        yaw="-7.8",
        pitch="0.0",
        roll="9.0",
    )
    png = f"png of {photo!a} {face}".encode()
    return FaceRow(row, face, png=png, embedding=vector_of(photo, face, plan))


def no_face_row(photo: str, status: str = "no-face", reason: str = "no face") -> FaceRow:
    """A photo without a face."""
    return FaceRow(AlignRow(photo, status, reason))


def shard_of(
    plan: EmbedPlan, number: int, rows: Sequence[FaceRow], device: str = "cpu"
) -> FaceShard:
    """A shard of a plan."""
    statuses = [one.row.status for one in rows]
    counts = {status: statuses.count(status) for status in statuses}
    record = ShardRecord(plan.id, number, WEIGHTS, device, len(rows), counts, 1.5, 2.5, {})
    return FaceShard(record, rows)


def write_faces(
    storage: Storage, plan: EmbedPlan, number: int, rows: Sequence[FaceRow], device: str = "cpu"
) -> None:
    """Write a shard to its place in OUT."""
    data = shard_bytes(shard_of(plan, number, rows, device), plan.keep_crops)
    storage.write(shard_name(plan.number, number), data)
