"""The faces of photos, as rows of a shard: what worker processes do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from facetool.cropping.crop_writer import CropRows
from facetool.cropping.face_cropper import FaceCropper, keep_to_one_core
from facetool.cropping.photo_cropper import PhotoCropper
from facetool.cropping.settings import AlignSettings
from facetool.files.align_manifest import AlignRow
from facetool.files.embed_plan import ListedPhoto
from facetool.files.face_shards import FaceRow
from facetool.images.inputs import ImageFiles
from facetool.images.png import encode_png
from facetool.images.sources import PhotoSource
from facetool.jobs.device_pool import open_pool
from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.stopwatch import Stopwatch
from facetool.jobs.worker_process import WORKER_DIED

_KILLS = 3
"""Workers that a photo may kill until it counts as failed."""

_CHUNKS_AHEAD = 8
"""Chunks of photos read from a store while others are searched."""


class CropTask(NamedTuple):
    """A photo, and what it is read from."""

    name: str
    files: ImageFiles


PhotoRows: TypeAlias = list[FaceRow]
"""The rows of one photo."""

Cropping: TypeAlias = Callable[[Iterable[Sequence[CropTask]]], Iterator[list[PhotoRows]]]
"""Chunks of photos to their rows, in order."""


@contextmanager
def pooled_cropping(
    settings: AlignSettings, keep_crops: bool, jobs: int, device: str
) -> Iterator[Cropping]:
    """Cropping in worker processes, or in threads that share a GPU.

    Args:
        settings: which faces, and how they are cut.
        keep_crops: make PNG files of the crops, too.
        jobs: workers.
        device: where the detector runs.
    """
    arguments = (settings, keep_crops, device)
    with open_pool(
        _crop_chunk, _worker_died, _create_worker, arguments, jobs, device=device, tries=_KILLS
    ) as pool:
        yield pool.map


def cropping_here(settings: AlignSettings, keep_crops: bool, device: str) -> Cropping:
    """Cropping in this process; the arguments are those of :func:`pooled_cropping`."""
    worker = _create_worker(settings, keep_crops, device)
    return lambda chunks: (_crop_chunk(worker, chunk) for chunk in chunks)


def tasks_ahead(
    source: PhotoSource, chunks: Iterable[Sequence[ListedPhoto]]
) -> Iterator[list[CropTask]]:
    """Chunks of photos with what they are read from; those of a store are read ahead."""

    def prepare(photos: Sequence[ListedPhoto]) -> list[CropTask]:
        files = source.files(photos)
        return [CropTask(photo.name, one) for photo, one in zip(photos, files, strict=True)]

    with ThreadPoolExecutor(_CHUNKS_AHEAD, "read") as threads:
        try:
            yield from ordered_map(
                lambda photos: threads.submit(prepare, photos),
                Future.result,
                chunks,
                _CHUNKS_AHEAD,
            )
        finally:
            threads.shutdown(cancel_futures=True)


# What follows runs in the worker processes.


class _Worker(NamedTuple):
    cropper: FaceCropper
    rows: CropRows
    strict: bool
    keep_crops: bool


@dataclass(frozen=True)
class _TaskFiles:
    """The files of a chunk, each from its own task."""

    files: Mapping[str, ImageFiles]

    def read_bytes(self, name: str) -> bytes:
        return self.files[name].read_bytes(name)

    def stat(self, name: str) -> tuple[int, int]:
        return self.files[name].stat(name)


def _create_worker(settings: AlignSettings, keep_crops: bool, device: str) -> _Worker:
    keep_to_one_core(settings.crop, device)
    rows = CropRows(
        settings.crop,
        settings.select,
        settings.on_no_face,
        min_face=settings.min_face,
        min_sharpness=settings.min_sharpness,
    )
    return _Worker(settings.cropper(device), rows, settings.strict, keep_crops)


def _crop_chunk(worker: _Worker, tasks: Sequence[CropTask]) -> list[PhotoRows]:
    files = _TaskFiles({task.name: task.files for task in tasks})
    photos = PhotoCropper(files, worker.cropper, worker.strict)
    cropped = photos.crop([task.name for task in tasks], Stopwatch())
    found = []
    for photo in cropped:
        aligned, crops = worker.rows.describe(photo, photo.name, "")
        rows = [FaceRow(row._replace(output="")) for row in aligned.rows]
        # Faces that are not good enough come after those with a crop.
        for face, (one, crop) in enumerate(zip(rows, crops, strict=False), 1):
            one.face, one.crop = face, crop
            one.png = encode_png(crop) if worker.keep_crops else None
        found.append(rows)
    return found


def _worker_died(task: CropTask) -> PhotoRows:
    return [FaceRow(AlignRow(task.name, "failed", WORKER_DIED))]
