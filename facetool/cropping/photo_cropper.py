"""From photo files to crops, step by step: what the workers of ``align`` and ``profile`` run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from facetool.cropping.face_cropper import ODD_PHOTO_ERRORS, FaceCropper, LocatedFaces
from facetool.detection.face import Face
from facetool.errors import ImageError, one_line
from facetool.files.image_states import ImageState
from facetool.images.changes import read_with_state
from facetool.images.inputs import ImageFiles
from facetool.images.read import TRUNCATED, RGBImage, decode_photo
from facetool.jobs.ordered_map import batches_of, chunks_for
from facetool.jobs.stopwatch import Stopwatch

_Item = TypeVar("_Item")

READING, DETECTION, ALIGNMENT = "reading", "detection", "alignment"
"""The steps as a stopwatch counts them; the last is to choose, find landmarks and cut."""

PHOTO_ERRORS = (ImageError, *ODD_PHOTO_ERRORS)
"""What one photo may raise. Other errors, a file that cannot be written or a model that is not
there, concern every photo."""

_CHUNK = 16
_GPU_CHUNK = 32
_BATCH_PIXELS = 2**23
"""Photos of a chunk that are held and detected together."""


@dataclass
class CroppedPhoto:
    """A photo and what the steps have made of it so far.

    Attributes:
        name: the photo's.
        image: its pixels, from reading to cutting.
        state: of the file as it was read; None where it could not be.
        remarks: what a user should know of how it was read and searched.
        detected: all faces.
        located: the chosen ones with their landmarks, or why there are none.
        crops: one for each of those, uint8 (H, W, 3).
        error: why the photo cannot be used; empty where it can.
    """

    name: str
    image: RGBImage | None = None
    state: ImageState | None = None
    remarks: list[str] = field(default_factory=list)
    detected: list[Face] = field(default_factory=list)
    located: LocatedFaces = field(default_factory=lambda: LocatedFaces([]))
    crops: list[RGBImage] = field(default_factory=list)
    error: str = ""


_Photo = TypeVar("_Photo", bound=CroppedPhoto)


@dataclass(frozen=True)
class PhotoCropper:
    """Reads photos by name and cuts the chosen faces out of them.

    Args:
        images: where the photos lie.
        cropper: finds the faces and cuts them out.
        strict: truncated photos cannot be used.
    """

    images: ImageFiles
    cropper: FaceCropper
    strict: bool = False

    def crop(self, names: Sequence[str], watch: Stopwatch) -> Iterator[CroppedPhoto]:
        """The crops of photos in order, or why there are none.

        Args:
            names: of the photos.
            watch: gets the time of each step.
        """
        photos = (self._read(name, watch) for name in names)
        return crop_in_batches(self.cropper, photos, watch)

    def _read(self, name: str, watch: Stopwatch) -> CroppedPhoto:
        with watch.time(READING):
            return self._decode(name)

    def _decode(self, name: str) -> CroppedPhoto:
        photo = CroppedPhoto(name)
        try:
            data, photo.state = read_with_state(self.images, name)
            found = decode_photo(data)
            if found.truncated and self.strict:
                raise ImageError(TRUNCATED)
            remarks = self.cropper.remarks_on(found)
        except PHOTO_ERRORS as error:
            photo.error = reason_of(error)
        else:
            photo.image, photo.remarks = found.pixels, remarks
        return photo


def crop_in_batches(
    cropper: FaceCropper, photos: Iterable[_Photo], watch: Stopwatch
) -> Iterator[_Photo]:
    """The same photos with their crops; they are held, and detected together, up to a number of
    pixels.

    Args:
        cropper: does it.
        photos: as they were read.
        watch: gets the time of each step but reading.
    """
    held: list[_Photo] = []
    pixels = 0
    for photo in photos:
        held.append(photo)
        if photo.image is not None:
            pixels += photo.image.shape[0] * photo.image.shape[1]
        if pixels >= _BATCH_PIXELS:
            yield from crop_together(cropper, held, watch)
            held, pixels = [], 0
    yield from crop_together(cropper, held, watch)


def crop_together(
    cropper: FaceCropper, photos: Sequence[_Photo], watch: Stopwatch
) -> Iterator[_Photo]:
    """Detect the faces of several photos together, then cut out those that are chosen.

    Args:
        cropper: does it.
        photos: as they were read.
        watch: gets the time of each step.
    """
    with watch.time(DETECTION):
        _detect(cropper, [photo for photo in photos if photo.image is not None])
    # All landmarks come before the first crop: the predictor's 9 MB of trees stay in the cache.
    with watch.time(ALIGNMENT):
        for photo in photos:
            _locate(cropper, photo)
    for photo in photos:
        with watch.time(ALIGNMENT):
            _cut(cropper, photo)
        yield photo


def _detect(cropper: FaceCropper, photos: Sequence[CroppedPhoto]) -> None:
    if not photos:
        return
    try:
        found = cropper.detect([photo.image for photo in photos if photo.image is not None])
    except PHOTO_ERRORS as error:
        if len(photos) == 1:
            photos[0].error = reason_of(error)
            return
        for photo in photos:
            _detect(cropper, [photo])
        return
    for photo, faces in zip(photos, found, strict=True):
        photo.detected = faces


def _locate(cropper: FaceCropper, photo: CroppedPhoto) -> None:
    if photo.image is None or photo.error:
        return
    try:
        photo.located = cropper.locate_detected(photo.image, photo.detected)
    except PHOTO_ERRORS as error:
        photo.error = reason_of(error)
    else:
        photo.remarks = [*photo.remarks, *photo.located.remarks]


def _cut(cropper: FaceCropper, photo: CroppedPhoto) -> None:
    """Cut out the located faces; the pixels of the photo are no longer held then."""
    image, photo.image = photo.image, None
    if image is None or photo.error:
        return
    try:
        photo.crops = [cropper.cut(image, landmarks) for _, landmarks in photo.located.faces]
    except PHOTO_ERRORS as error:
        photo.error = reason_of(error)


def reason_of(error: Exception) -> str:
    """One of :data:`PHOTO_ERRORS` in a line."""
    if isinstance(error, ImageError):
        return str(error)
    reason = one_line(error)
    return f"cannot be aligned: {reason}"


def photo_chunks(
    photos: Sequence[_Item], jobs: int, device: str, *, more_follow: bool = False
) -> list[Sequence[_Item]]:
    """Photos in the chunks that a worker on a device takes at once.

    Args:
        photos: in order.
        jobs: workers.
        device: where they detect.
        more_follow: the workers need not end together with these photos.
    """
    size = _CHUNK if device == "cpu" else _GPU_CHUNK
    return batches_of(photos, size) if more_follow else chunks_for(jobs, photos, size)
