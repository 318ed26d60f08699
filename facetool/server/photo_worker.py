"""What the server's worker processes do: decode a photo, find its faces, cut them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from facetool.alignment.recipes import Crop
from facetool.cropping.face_cropper import FaceCropper, LocatedFace, keep_to_one_core
from facetool.cropping.photos import SearchedPhoto, search_photo
from facetool.detection.face import Box, Face
from facetool.detection.options import DetectionSettings
from facetool.errors import ImageError
from facetool.images.read import decode_photo


class PhotoTask(NamedTuple):
    """A photo to be searched.

    Attributes:
        data: bytes of the image file.
        select: policy of :func:`facetool.detection.face.select_faces`.
        aligned: it is a crop already, as ``align`` makes them.
    """

    data: bytes
    select: str
    aligned: bool = False


@dataclass
class PhotoWorker:
    """What one worker process keeps."""

    cropper: FaceCropper
    max_pixels: int


def create_photo_worker(crop: Crop, detection: DetectionSettings, max_pixels: int) -> PhotoWorker:
    """Load the detector.

    Raises:
        UsageError: no such detector, or settings that do not fit.
        WeightsError: the detector's weights are not on this machine.
    """
    keep_to_one_core(crop)
    return PhotoWorker(FaceCropper(crop, detection, device="cpu"), max_pixels)


def work(worker: PhotoWorker, task: PhotoTask) -> SearchedPhoto:
    """Search one photo."""
    if task.aligned:
        return _whole(worker, task)
    worker.cropper.select = task.select
    return search_photo(lambda: decode_photo(task.data, worker.max_pixels), worker.cropper)


def _whole(worker: PhotoWorker, task: PhotoTask) -> SearchedPhoto:
    """A crop as it is, if it has the network's size: none is squeezed into it."""
    crop = worker.cropper.crop
    try:
        image = decode_photo(task.data, worker.max_pixels).pixels
    except ImageError as error:
        return SearchedPhoto(error=str(error))
    height, width = image.shape[:2]
    if (width, height) != (crop.width, crop.height):
        reason = f"{width}x{height} pixels; the network's crops have {crop.width}x{crop.height}"
        return SearchedPhoto((width, height), error=reason)
    face = Face(Box(0, 0, width - 1, height - 1), 0.0, found=False)
    return SearchedPhoto((width, height), [LocatedFace(face, np.empty((0, 2)))], [image])
