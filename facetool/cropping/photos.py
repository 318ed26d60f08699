"""The faces of many photos, each photo read and searched in a worker process."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from facetool.alignment.recipes import Crop
from facetool.cropping.face_cropper import (
    NO_FACE,
    NO_FACE_HINT,
    ODD_PHOTO_ERRORS,
    FaceCrop,
    FaceCropper,
    keep_to_one_core,
)
from facetool.detection.options import DetectionSettings
from facetool.errors import ImageError
from facetool.images.read import TRUNCATED, read_photo
from facetool.jobs.ordered_map import chunks_for
from facetool.jobs.pool import WORKER_DIED, OrderedPool, available_cores

_CHUNK = 4
_POOL_FROM = 16
"""Fewer photos are done before worker processes are up."""


class PhotoCrops(NamedTuple):
    """The chosen faces of a photo, or why there are none.

    Attributes:
        path: the photo.
        faces: the chosen ones.
        error: why there are none.
        truncated: the end of the file is missing.
    """

    path: Path
    faces: list[FaceCrop]
    error: str = ""
    truncated: bool = False


def crop_photos(
    photos: Sequence[Path], crop: Crop, select: str, detection: DetectionSettings | None = None
) -> Generator[PhotoCrops]:
    """Cut the chosen faces out of photos, on all cores, in the order of the photos.

    Args:
        photos: image files.
        crop: the recipe, its detector included.
        select: policy of :func:`facetool.detection.face.select_faces`.
        detection: how the detector is used; default: its default settings.

    Raises:
        FacetoolError: the detector or its models cannot be had.
    """
    # Also where workers have theirs: errors come once.
    cropper = FaceCropper(crop, detection, select)
    if len(photos) < _POOL_FROM:
        yield from (_crop_one(path, cropper) for path in photos)
        return
    jobs = available_cores()
    arguments = (crop, detection, select)
    with OrderedPool(_crop_chunk, _worker_died, _create_cropper, arguments, jobs) as pool:
        for chunk in pool.map(chunks_for(jobs, photos, _CHUNK)):
            yield from chunk


# What follows runs in the worker processes.


def _create_cropper(crop: Crop, detection: DetectionSettings | None, select: str) -> FaceCropper:
    keep_to_one_core(crop)
    return FaceCropper(crop, detection, select)


def _crop_chunk(cropper: FaceCropper, paths: Sequence[Path]) -> list[PhotoCrops]:
    return [_crop_one(path, cropper) for path in paths]


def _crop_one(path: Path, cropper: FaceCropper) -> PhotoCrops:
    try:
        image, truncated = read_photo(path)
        located, missed = cropper.find(image)
        faces = cropper.cut_all(image, located)
    except ImageError as error:
        return PhotoCrops(path, [], str(error))
    except ODD_PHOTO_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return PhotoCrops(path, [], f"cannot be searched for faces: {reason}")
    if faces:
        return PhotoCrops(path, faces, truncated=truncated)
    why = [missed, NO_FACE_HINT if missed == NO_FACE else "", TRUNCATED if truncated else ""]
    return PhotoCrops(path, [], "; ".join(filter(None, why)), truncated)


def _worker_died(path: Path) -> PhotoCrops:
    return PhotoCrops(path, [], WORKER_DIED)
