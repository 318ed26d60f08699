"""A folder of photos from files to embeddings: how many per second, and which stage holds up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from facetool.cropping.detectors import detector_device
from facetool.cropping.photo_cropper import ALIGNMENT, DETECTION, READING, photo_chunks
from facetool.cropping.remarks import note_remarks
from facetool.embedding.embedder import Embedder
from facetool.images.inputs import Images
from facetool.images.read import RGBImage
from facetool.jobs.device_pool import open_pool
from facetool.jobs.ordered_map import batches_of
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report
from facetool.jobs.stopwatch import Stopwatch
from facetool.profiling.cropping import create_crop_worker, crop_chunk, worker_died
from facetool.profiling.pipeline_settings import PipelineSettings

REPRESENTATION = "representation"
PROFILE_STAGES = (READING, DETECTION, ALIGNMENT, REPRESENTATION)
"""In the order they run in."""

_ROUND = 1024
"""Images that are cropped before the network runs: bounds the memory that holds the crops."""


@dataclass(frozen=True)
class FolderProfile:
    """What a folder took.

    Attributes:
        folder: as it was given.
        images: all of them.
        faces: that were found and represented, one per image at most.
        jobs: worker processes, or threads that share a GPU.
        start_up: seconds until libraries and models were loaded; not part of ``wall``.
        wall: seconds from the first image to the last embedding.
        busy: seconds of each stage; added up over the workers, which do all but the last.
        worker_memory: peak of the largest worker process, bytes; None where there are none.
    """

    folder: str
    images: int
    faces: int
    jobs: int
    start_up: float
    wall: float
    busy: dict[str, float]
    worker_memory: int | None

    @property
    def images_per_second(self) -> float:
        """End to end."""
        return self.images / self.wall

    @property
    def milliseconds(self) -> dict[str, float]:
        """Work of each stage per image."""
        return {stage: 1000 * seconds / self.images for stage, seconds in self.busy.items()}

    @property
    def shares(self) -> dict[str, float]:
        """Part of the wall time, 0…1, that each stage accounts for.

        What lacks from 1 is waiting: for the slowest worker, and for results to be handed over.
        """
        return {
            stage: seconds / (self.wall * (1 if stage == REPRESENTATION else self.jobs))
            for stage, seconds in self.busy.items()
        }

    @property
    def bottleneck(self) -> str:
        """The stage that takes most of the time."""
        return max(PROFILE_STAGES, key=lambda stage: self.shares[stage])

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **asdict(self),
            "images_per_second": self.images_per_second,
            "shares": self.shares,
            "bottleneck": self.bottleneck,
        }


def profile_folder(
    name: str, images: Images, embedder: Embedder, settings: PipelineSettings, report: Report
) -> FolderProfile:
    """Run a folder through all stages; nothing is written.

    The workers of ``align`` read, detect and cut; then, as in ``represent``, this process puts
    the crops through the network in batches.

    Args:
        name: for the result.
        images: at least one.
        embedder: the network.
        settings: how.
        report: takes the images that failed.
    """
    crop = settings.crop
    names = images.names
    jobs = min(settings.jobs or available_cores(), len(names))
    device = detector_device(crop.detector, settings.device)
    rows = min(settings.batch_size, len(names))
    watch = Stopwatch()
    watch.seconds.update(dict.fromkeys(PROFILE_STAGES, 0.0))
    faces = worker_memory = 0

    begin = perf_counter()
    arguments = (images.without_names(), crop, settings.detection, device)
    with (
        open_pool(
            crop_chunk, worker_died, create_crop_worker, arguments, jobs, device=device
        ) as pool,
        progress_bar(Path(name).name, len(names)) as bar,
    ):
        for _ in pool.map([()] * jobs):
            pass  # no work, but the workers start
        embedder.embed(np.zeros((rows, crop.height, crop.width, 3), np.uint8))
        start = perf_counter()
        for turn in batches_of(names, _ROUND):
            crops: list[RGBImage] = []
            for cropped in chain.from_iterable(pool.map(photo_chunks(turn, jobs, device))):
                for stage, seconds in cropped.seconds.items():
                    watch.seconds[stage] += seconds
                worker_memory = max(worker_memory, cropped.memory or 0)
                if cropped.crop is not None:
                    crops.append(cropped.crop)
                elif cropped.problem:
                    report.failed(cropped.name, cropped.problem)
                note_remarks(cropped.name, cropped.remarks, report)
                bar.update()
            with watch.time(REPRESENTATION):
                for _ in embedder.embed_batches(batches_of(crops, rows), np.stack, rows):
                    pass
            faces += len(crops)
        end = perf_counter()
    return FolderProfile(
        name,
        len(names),
        faces,
        jobs,
        start - begin,
        end - start,
        dict(watch.seconds),
        (worker_memory if device == "cpu" else None) or None,
    )
