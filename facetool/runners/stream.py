"""From photos to embedded shards: faces flow through the network while others are searched for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from facetool.cropping.photo_cropper import photo_chunks
from facetool.embedding.embedder import NOT_FINITE, Embedder, finite_rows
from facetool.files.embed_plan import ListedPhoto, PlannedPhotos, Shard
from facetool.files.face_shards import FaceRow
from facetool.jobs.ordered_map import ordered_map
from facetool.runners.cropping import Cropping, tasks_ahead
from facetool.runners.job import EmbedJob, ShardOutcome, write_shard

_WRITES = 2
"""Shards on their way to the store at a time."""


def embed_shards(
    job: EmbedJob, numbers: Sequence[int], cropping: Cropping, embedder: Embedder, jobs: int
) -> Iterator[ShardOutcome]:
    """Work on shards in order and write each as soon as it is whole.

    Args:
        job: the plan, and how to carry it out.
        numbers: of the shards.
        cropping: finds and cuts the faces.
        embedder: of the job's network.
        jobs: workers of ``cropping``.

    Raises:
        OutputError: a store does not answer, or a shard cannot be written.
    """
    photos = PlannedPhotos(job.storage, job.plan)
    open_shards = _OpenShards()
    batches = _batches(job, numbers, photos, cropping, open_shards, jobs)
    embedded = embedder.embed_batches(batches, lambda batch: batch.pixels)

    def whole() -> Iterator[_OpenShard]:
        for batch, vectors in embedded:
            finite = finite_rows(vectors)
            for row, vector, good in zip(batch.rows, vectors, finite, strict=False):  # then filler
                row.crop = None
                if good:
                    row.embedding = vector
                else:
                    row.row = row.row._replace(status="failed", reason=NOT_FINITE)
                    row.face, row.png = 0, None
            yield from open_shards.take_whole()
        yield from open_shards.take_whole()

    def write(shard: _OpenShard) -> ShardOutcome:
        seconds = perf_counter() - shard.started
        return write_shard(job, shard.number, shard.rows, seconds)

    with ThreadPoolExecutor(_WRITES, "write") as threads:
        yield from ordered_map(
            lambda shard: threads.submit(write, shard), Future.result, whole(), _WRITES
        )


@dataclass
class _Batch:
    """Rows, and their crops as the network takes them, uint8 (N, H, W, 3), filler at the end."""

    rows: list[FaceRow]
    pixels: NDArray[np.uint8]


@dataclass
class _OpenShard:
    """A shard under way.

    Attributes:
        number: of the shard.
        photos: still to be cropped.
        rows: of those that are.
        started: when its first photo was handed out.
    """

    number: int
    photos: int
    rows: list[FaceRow] = field(default_factory=list)
    started: float = field(default_factory=perf_counter)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing. A row's crop is held until it is embedded."""
        return not self.photos and all(row.crop is None for row in self.rows)


class _OpenShards:
    """The shards under way, in order."""

    def __init__(self) -> None:
        self._shards: deque[_OpenShard] = deque()

    def open(self, shard: Shard) -> None:
        self._shards.append(_OpenShard(shard.number, len(shard.photos)))

    def add(self, rows: Sequence[FaceRow]) -> None:
        """The rows of the next photo."""
        shard = next(one for one in self._shards if one.photos)
        shard.rows.extend(rows)
        shard.photos -= 1

    def take_whole(self) -> Iterator[_OpenShard]:
        while self._shards and self._shards[0].whole:
            yield self._shards.popleft()


def _batches(
    job: EmbedJob,
    numbers: Sequence[int],
    photos: PlannedPhotos,
    cropping: Cropping,
    open_shards: _OpenShards,
    jobs: int,
) -> Iterator[_Batch]:
    """Full batches of faces, whichever shards they are of, and the rest."""

    def chunks() -> Iterator[Sequence[ListedPhoto]]:
        for number in numbers:
            shard = photos.shard(number)
            open_shards.open(shard)
            more = number != numbers[-1]
            yield from photo_chunks(shard.photos, jobs, job.detector_device, more_follow=more)

    size = job.represent.batch_size
    waiting: list[FaceRow] = []
    # As represent does, which fills no batch where it has no more than one.
    alone = job.plan.number == job.plan.shards == 1
    for rows in chain.from_iterable(cropping(tasks_ahead(job.source, chunks()))):
        open_shards.add(rows)
        waiting.extend(row for row in rows if row.crop is not None)
        while len(waiting) >= size:
            yield _batch(waiting[:size], size)
            waiting = waiting[size:]
            alone = False
    if waiting:
        yield _batch(waiting, len(waiting) if alone else size)


def _batch(rows: list[FaceRow], size: int) -> _Batch:
    crops = [row.crop for row in rows if row.crop is not None]
    pixels = np.zeros((size, *crops[0].shape), np.uint8)
    np.stack(crops, out=pixels[: len(crops)])
    return _Batch(rows, pixels)
