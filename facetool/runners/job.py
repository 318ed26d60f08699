"""What a process needs to work on the shards of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import NamedTuple

from facetool.cropping.settings import AlignSettings
from facetool.embedding.settings import RepresentSettings, versions
from facetool.files.align_manifest import AlignRow
from facetool.files.embed_plan import EmbedPlan
from facetool.files.face_shards import FaceRow, FaceShard, ShardRecord, shard_bytes, shard_name
from facetool.files.storage import Storage
from facetool.images.sources import PhotoSource
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import device_name, resolve_device


@dataclass(frozen=True, kw_only=True)
class EmbedJob:
    """A plan, and how to carry it out. Picklable.

    Attributes:
        plan: which photos, in which shards.
        storage: OUT.
        source: where the photos are read from.
        network: in eval mode.
        align: how faces are found and cut.
        represent: how the network computes; resolved, but for a GPU that only a worker has.
        detector_device: ``cpu``, or where a detector on PyTorch runs.
    """

    plan: EmbedPlan
    storage: Storage
    source: PhotoSource
    network: EmbeddingNetwork
    align: AlignSettings
    represent: RepresentSettings
    detector_device: str = "cpu"


class ShardOutcome(NamedTuple):
    """A shard that was written, and the rows of ``align.csv`` that it holds."""

    record: ShardRecord
    rows: Sequence[AlignRow]


def write_shard(
    job: EmbedJob, number: int, rows: Sequence[FaceRow], seconds: float
) -> ShardOutcome:
    """Write a shard by one request.

    Args:
        job: whose shard it is.
        number: of the shard.
        rows: all of them, embedded.
        seconds: that it took.

    Raises:
        OutputError: it cannot be written.
    """
    statuses = [one.row.status for one in rows]
    record = ShardRecord(
        plan=job.plan.id,
        shard=number,
        weights_sha256=job.network.info.weights_sha256,
        device=device_name(resolve_device(job.represent.device)),
        rows=len(rows),
        statuses={status: statuses.count(status) for status in dict.fromkeys(statuses)},
        seconds=round(seconds, 3),
        finished=round(time(), 3),
        versions=versions(job.represent.engine_of(job.network)),
    )
    data = shard_bytes(FaceShard(record, rows), job.plan.keep_crops)
    job.storage.write(shard_name(job.plan.number, number), data)
    return ShardOutcome(record, [one.row for one in rows])
