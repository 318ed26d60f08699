"""The crops of a folder as ``align`` makes them, kept instead of written, with the time it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from facetool.alignment.recipes import Crop
from facetool.cropping.face_cropper import FaceCropper, keep_to_one_core
from facetool.cropping.photo_cropper import PhotoCropper
from facetool.detection.options import DetectionSettings
from facetool.images.inputs import Images
from facetool.images.read import RGBImage
from facetool.jobs.stopwatch import Stopwatch
from facetool.jobs.worker_process import WORKER_DIED
from facetool.profiling.memory import peak_host_memory


class Cropped(NamedTuple):
    """What a worker says of a photo.

    Attributes:
        name: of the photo.
        crop: its largest face, uint8 (H, W, 3), or None where none was found.
        seconds: by step, its share of those of the photos it was detected together with.
        memory: peak of the worker so far, bytes.
        problem: why the photo could not be used, or empty.
        remarks: what a user should know of how it was read and searched.
    """

    name: str
    crop: RGBImage | None
    seconds: Mapping[str, float]
    memory: int | None
    problem: str = ""
    remarks: Sequence[str] = ()


def create_crop_worker(
    images: Images, crop: Crop, detection: DetectionSettings | None, device: str
) -> PhotoCropper:
    """Load detector and landmark predictor, once per worker process."""
    keep_to_one_core(crop, device)
    return PhotoCropper(images, FaceCropper(crop, detection, device=device))


def crop_chunk(worker: PhotoCropper, names: Sequence[str]) -> list[Cropped]:
    """Read and crop photos."""
    watch = Stopwatch()
    photos = list(worker.crop(names, watch))
    share = {step: seconds / max(1, len(photos)) for step, seconds in watch.seconds.items()}
    memory = peak_host_memory()
    return [
        Cropped(
            photo.name,
            photo.crops[0] if photo.crops else None,
            share,
            memory,
            photo.error,
            photo.remarks,
        )
        for photo in photos
    ]


def worker_died(name: str) -> Cropped:
    """In place of the result of a photo that killed its worker."""
    return Cropped(name, None, {}, None, WORKER_DIED)
