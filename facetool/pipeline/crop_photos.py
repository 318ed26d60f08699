"""The faces of many photos, each photo read and searched in a worker process."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from facetool.alignment.recipes import Crop
from facetool.detection.face import Box
from facetool.errors import ImageError
from facetool.images.read import RGBImage, read_image
from facetool.pipeline.crop_faces import FaceCropper
from facetool.pool import OrderedPool, available_cores

_CHUNK = 4
_POOL_FROM = 16
"""Fewer photos are done before worker processes are up."""


class PhotoCrops(NamedTuple):
    """The chosen faces of a photo, from left to right.

    Attributes:
        path: of the photo.
        boxes: where they are.
        crops: uint8 (H, W, 3) each.
        error: why there are none, or empty.
    """

    path: Path
    boxes: list[Box]
    crops: list[RGBImage]
    error: str = ""


def crop_photos(photos: Sequence[Path], crop: Crop, select: str) -> Generator[PhotoCrops]:
    """Cut the chosen faces out of photos, on all cores, in the order of the photos.

    Args:
        photos: image files.
        crop: the recipe, its detector included.
        select: policy of :func:`facetool.detection.face.select_faces`.
    """
    if len(photos) < _POOL_FROM:
        cropper = FaceCropper(crop, select=select)
        yield from (_crop_one(path, cropper) for path in photos)
        return
    chunks = [photos[start : start + _CHUNK] for start in range(0, len(photos), _CHUNK)]
    with OrderedPool(
        _crop_chunk, _worker_died, _set_up, (crop, select), jobs=available_cores()
    ) as pool:
        for chunk in pool.map(chunks):
            yield from chunk


# What follows runs in the worker processes.

_cropper: FaceCropper


def _set_up(crop: Crop, select: str) -> None:
    global _cropper
    if crop.detector == "mtcnn":
        import torch

        torch.set_num_threads(1)  # the workers themselves keep all cores busy
    _cropper = FaceCropper(crop, select=select)


def _crop_chunk(paths: Sequence[Path]) -> list[PhotoCrops]:
    return [_crop_one(path, _cropper) for path in paths]


def _crop_one(path: Path, cropper: FaceCropper) -> PhotoCrops:
    try:
        found = cropper.crops(read_image(path))
    except ImageError as error:
        return PhotoCrops(path, [], [], str(error))
    except (RuntimeError, MemoryError, ValueError) as error:  # dlib and OpenCV on odd shapes
        reason = " ".join(str(error).split()) or type(error).__name__
        return PhotoCrops(path, [], [], f"cannot be searched for faces: {reason}")
    if not found:
        reason = "no face found; --detector cnn or a larger photo may help"
        return PhotoCrops(path, [], [], reason)
    found.sort(key=lambda one: one.face.box.center)
    return PhotoCrops(path, [one.face.box for one in found], [one.image for one in found])


def _worker_died(path: Path) -> PhotoCrops:
    return PhotoCrops(path, [], [], "the worker process died on it (out of memory?)")
