"""The faces of many photos, each photo read and searched in a worker process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from facetool.alignment.recipes import Crop
from facetool.cropping.face_cropper import (
    NO_FACE,
    ODD_PHOTO_ERRORS,
    FaceCrop,
    FaceCropper,
    LocatedFace,
    keep_to_one_core,
    no_face_hint,
)
from facetool.cropping.video_cropper import VideoCropper
from facetool.detection.options import DetectionSettings
from facetool.detection.tracks import TrackTimes
from facetool.errors import ImageError, one_line
from facetool.images.read import TRUNCATED, Photo, RGBImage, read_photo
from facetool.images.video import is_video
from facetool.jobs.ordered_map import chunks_for
from facetool.jobs.pool import OrderedPool, available_cores
from facetool.jobs.worker_process import WORKER_DIED

_CHUNK = 4
_POOL_FROM = 16
"""Fewer photos are done before worker processes are up."""


class SearchedPhoto(NamedTuple):
    """What was found in a photo.

    Attributes:
        size: width and height, upright; (0, 0) where the photo cannot be read.
        faces: the chosen ones.
        crops: one for each, uint8 (H, W, 3).
        error: why the photo cannot be used; empty where it can.
        missed: why none was found; empty where one was.
        truncated: the end of the file is missing.
        hint: what may help where none was found; may be empty.
    """

    size: tuple[int, int] = (0, 0)
    faces: Sequence[LocatedFace] = ()
    crops: Sequence[RGBImage] = ()
    error: str = ""
    missed: str = ""
    truncated: bool = False
    hint: str = ""

    @property
    def reason(self) -> str:
        """Why there are no faces; empty where there are."""
        if self.error or self.faces:
            return self.error
        truncated = TRUNCATED if self.truncated else ""
        return "; ".join(filter(None, [self.missed, self.hint, truncated]))


def search_photo(read: Callable[[], Photo], cropper: FaceCropper) -> SearchedPhoto:
    """Read a photo, find the chosen faces and cut them out.

    Args:
        read: gives the photo, or raises :class:`ImageError`.
        cropper: does the rest.
    """
    try:
        image, truncated = read()
        located, missed = cropper.find(image)
        crops = [cropper.cut(image, landmarks) for _, landmarks in located]
    except ImageError as error:
        return SearchedPhoto(error=str(error))
    except ODD_PHOTO_ERRORS as error:
        reason = one_line(error)
        return SearchedPhoto(error=f"cannot be searched for faces: {reason}")
    height, width = image.shape[:2]
    hint = no_face_hint(cropper.crop.detector) if missed == NO_FACE else ""
    return SearchedPhoto((width, height), located, crops, "", missed, truncated, hint)


class PhotoCrops(NamedTuple):
    """The chosen faces of a photo or video, or why there are none.

    Attributes:
        path: the file.
        faces: the chosen ones.
        error: why there are none.
        truncated: the end of the file is missing.
        times: when each of the faces is seen, in a video.
    """

    path: Path
    faces: list[FaceCrop]
    error: str = ""
    truncated: bool = False
    times: Sequence[TrackTimes] = ()


def crop_photos(
    photos: Sequence[Path],
    crop: Crop,
    select: str,
    detection: DetectionSettings | None = None,
    every: float | str | None = None,
) -> Generator[PhotoCrops]:
    """Cut the chosen faces out of photos, on all cores, in the order of the photos.

    Args:
        photos: image files, and videos where ``every`` is given.
        crop: the recipe, its detector included.
        select: policy of :func:`facetool.detection.face.select_faces`.
        detection: how the detector is used; default: its default settings.
        every: which frames of videos are searched, as
            :func:`facetool.images.video.check_every` says; each face is cut out once.

    Raises:
        FacetoolError: the detector or its models cannot be had.
    """
    # Also where workers have theirs: errors come once.
    worker = _Worker(FaceCropper(crop, detection, select), every)
    videos = 0 if every is None else sum(map(is_video, photos))
    if len(photos) < _POOL_FROM and videos < 2:
        yield from (_crop_one(path, worker) for path in photos)
        return
    jobs = available_cores()
    arguments = (crop, detection, select, every)
    with OrderedPool(_crop_chunk, _worker_died, _create_worker, arguments, jobs) as pool:
        for chunk in pool.map(chunks_for(jobs, photos, _CHUNK)):
            yield from chunk


# What follows runs in the worker processes.


class _Worker(NamedTuple):
    cropper: FaceCropper
    every: float | str | None


def _create_worker(
    crop: Crop, detection: DetectionSettings | None, select: str, every: float | str | None
) -> _Worker:
    keep_to_one_core(crop)
    return _Worker(FaceCropper(crop, detection, select), every)


def _crop_chunk(worker: _Worker, paths: Sequence[Path]) -> list[PhotoCrops]:
    return [_crop_one(path, worker) for path in paths]


def _crop_one(path: Path, worker: _Worker) -> PhotoCrops:
    if worker.every is not None and is_video(path):
        return _crop_video(VideoCropper(path, worker.every, worker.cropper))
    found = search_photo(partial(read_photo, path), worker.cropper)
    faces = [FaceCrop(face, crop) for (face, _), crop in zip(found.faces, found.crops, strict=True)]
    return PhotoCrops(path, faces, found.reason, found.truncated)


def _crop_video(video: VideoCropper) -> PhotoCrops:
    try:
        tracks = sorted(video, key=lambda track: track.times)
    except (ImageError, *ODD_PHOTO_ERRORS) as error:
        return PhotoCrops(video.path, [], one_line(error))
    return PhotoCrops(
        video.path,
        [FaceCrop(track.located.face, track.crop) for track in tracks],
        "" if tracks else video.missed,
        TRUNCATED in video.remarks,
        [track.times for track in tracks],
    )


def _worker_died(path: Path) -> PhotoCrops:
    return PhotoCrops(path, [], WORKER_DIED)
