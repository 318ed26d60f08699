"""From a photo to its largest face, with the time of each stage; also in worker processes.

The stages are those of ``align``, called one by one. As in its workers, PyTorch is loaded only
for the detector that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from facetool.alignment.recipes import Crop
from facetool.cropping.face_cropper import ODD_PHOTO_ERRORS, FaceCropper, keep_to_one_core
from facetool.detection.options import DetectionSettings
from facetool.errors import ImageError
from facetool.images.inputs import Images
from facetool.images.read import RGBImage
from facetool.jobs.pool import WORKER_DIED
from facetool.profiling.memory import peak_host_memory
from facetool.profiling.stopwatch import Stopwatch

READING, DETECTION, ALIGNMENT = "reading", "detection", "alignment"


class Cropped(NamedTuple):
    """What a worker says of an image.

    Attributes:
        name: of the image.
        crop: its largest face, uint8 (H, W, 3), or None where none was found.
        seconds: by stage.
        memory: peak of the worker so far, bytes.
        problem: why the image could not be used, or empty.
    """

    name: str
    crop: RGBImage | None
    seconds: Mapping[str, float]
    memory: int | None
    problem: str = ""


def crop_largest(image: RGBImage, cropper: FaceCropper, watch: Stopwatch) -> RGBImage | None:
    """The largest face of a photo; None where none is found."""
    with watch.time(DETECTION):
        (faces,) = cropper.detect([image])
    with watch.time(ALIGNMENT):
        crops = [
            cropper.cut(image, found.landmarks) for found in cropper.locate(image, faces).faces
        ]
    return crops[0] if crops else None


# What follows runs in the worker processes; the last function in the main one.


class Worker(NamedTuple):
    """What a worker process holds."""

    images: Images
    cropper: FaceCropper


def create_worker(images: Images, crop: Crop, detection: DetectionSettings | None) -> Worker:
    """Load detector and landmark predictor, once per worker."""
    keep_to_one_core(crop)
    return Worker(images, FaceCropper(crop, detection))


def crop_chunk(worker: Worker, names: Sequence[str]) -> list[Cropped]:
    """Read and crop images."""
    return [_crop_one(worker, name) for name in names]


def _crop_one(worker: Worker, name: str) -> Cropped:
    watch = Stopwatch()
    crop, problem = None, ""
    try:
        with watch.time(READING):
            image = worker.images.read(name)
        crop = crop_largest(image, worker.cropper, watch)
    except ImageError as error:
        problem = str(error)
    except ODD_PHOTO_ERRORS as error:
        problem = f"cannot be aligned: {error or type(error).__name__}"
    return Cropped(name, crop, dict(watch.seconds), peak_host_memory(), problem)


def worker_died(name: str) -> Cropped:
    """In place of the result of an image that killed its worker."""
    return Cropped(name, None, {}, None, WORKER_DIED)
