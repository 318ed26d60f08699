"""The faces of many photos, each photo read and searched in a worker process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
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
from facetool.images.choices import DEFAULT_EVERY
from facetool.images.read import Photo, RGBImage, read_photo
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
        remarks: what a user should know of how it was read and searched.
        hint: what may help where none was found; may be empty.
    """

    size: tuple[int, int] = (0, 0)
    faces: Sequence[LocatedFace] = ()
    crops: Sequence[RGBImage] = ()
    error: str = ""
    missed: str = ""
    remarks: Sequence[str] = ()
    hint: str = ""

    @property
    def reason(self) -> str:
        """Why there are no faces; empty where there are."""
        if self.error or self.faces:
            return self.error
        return "; ".join(filter(None, [self.missed, self.hint, *self.remarks]))


def search_photo(read: Callable[[], Photo], cropper: FaceCropper) -> SearchedPhoto:
    """Read a photo, find the chosen faces and cut them out.

    Args:
        read: gives the photo, or raises :class:`ImageError`.
        cropper: does the rest.
    """
    try:
        photo = read()
        image, remarks = photo.pixels, cropper.remarks_on(photo)
        located, missed, others = cropper.find(image)
        remarks = [*remarks, *others]
        crops = [cropper.cut(image, landmarks) for _, landmarks in located]
    except ImageError as error:
        return SearchedPhoto(error=str(error))
    except ODD_PHOTO_ERRORS as error:
        reason = one_line(error)
        return SearchedPhoto(error=f"cannot be searched for faces: {reason}")
    height, width = image.shape[:2]
    hint = no_face_hint(cropper.crop.detector) if missed == NO_FACE else ""
    return SearchedPhoto((width, height), located, crops, "", missed, remarks, hint)


class PhotoCrops(NamedTuple):
    """The chosen faces of a photo or video, or why there are none.

    Attributes:
        path: the file.
        faces: the chosen ones.
        error: why there are none.
        remarks: what a user should know of how it was read and searched.
        times: when each of the faces is seen, in a video.
    """

    path: Path
    faces: list[FaceCrop]
    error: str = ""
    remarks: Sequence[str] = ()
    times: Sequence[TrackTimes] = ()


def crop_photos(
    photos: Sequence[Path],
    crop: Crop,
    select: str,
    detection: DetectionSettings | None = None,
    *,
    videos: Collection[Path] = (),
    every: float | str = DEFAULT_EVERY,
) -> Generator[PhotoCrops]:
    """Cut the chosen faces out of photos, on all cores, in the order of the photos.

    Args:
        photos: image files and videos.
        crop: the recipe, its detector included.
        select: policy of :func:`facetool.detection.face.select_faces`.
        detection: how the detector is used; default: its default settings.
        videos: those of ``photos`` that are videos; each face in them is cut out once.
        every: which frames of them are searched, see :func:`facetool.images.video.check_every`.

    Raises:
        FacetoolError: the detector or its models cannot be had.
    """
    # Also where workers have theirs: errors come once.
    worker = _Worker(FaceCropper(crop, detection, select, device="cpu"), every)
    files = [_File(path, path in videos) for path in photos]
    if len(photos) < _POOL_FROM and len(videos) < 2:
        yield from (_crop_one(file, worker) for file in files)
        return
    jobs = available_cores()
    arguments = (crop, detection, select, every)
    with OrderedPool(_crop_chunk, _worker_died, _create_worker, arguments, jobs) as pool:
        for chunk in pool.map(chunks_for(jobs, files, _CHUNK)):
            yield from chunk


class _File(NamedTuple):
    path: Path
    video: bool


# What follows runs in the worker processes.


class _Worker(NamedTuple):
    cropper: FaceCropper
    every: float | str


def _create_worker(
    crop: Crop, detection: DetectionSettings | None, select: str, every: float | str
) -> _Worker:
    keep_to_one_core(crop)
    return _Worker(FaceCropper(crop, detection, select, device="cpu"), every)


def _crop_chunk(worker: _Worker, files: Sequence[_File]) -> list[PhotoCrops]:
    return [_crop_one(file, worker) for file in files]


def _crop_one(file: _File, worker: _Worker) -> PhotoCrops:
    path = file.path
    if file.video:
        return _crop_video(VideoCropper(path, worker.every, worker.cropper))
    found = search_photo(partial(read_photo, path), worker.cropper)
    faces = [FaceCrop(face, crop) for (face, _), crop in zip(found.faces, found.crops, strict=True)]
    return PhotoCrops(path, faces, found.reason, found.remarks)


def _crop_video(video: VideoCropper) -> PhotoCrops:
    try:
        tracks = sorted(video, key=lambda track: track.times)
    except (ImageError, *ODD_PHOTO_ERRORS) as error:
        return PhotoCrops(video.path, [], one_line(error))
    return PhotoCrops(
        video.path,
        [FaceCrop(track.located.face, track.crop) for track in tracks],
        "" if tracks else video.missed,
        video.remarks,
        [track.times for track in tracks],
    )


def _worker_died(file: _File) -> PhotoCrops:
    return PhotoCrops(file.path, [], WORKER_DIED)
