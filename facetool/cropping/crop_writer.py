"""The files of crops, and the rows of ``align.csv`` that say what became of a photo."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from facetool.alignment.recipes import Crop
from facetool.cropping.face_cropper import LocatedFace
from facetool.cropping.photo_cropper import PHOTO_ERRORS, CroppedPhoto, reason_of
from facetool.cropping.quality import FaceQuality, measure_quality, poor_quality
from facetool.cropping.video_cropper import FaceTrack, VideoCropper, by_score
from facetool.errors import ImageError
from facetool.files.align_journal import AlignedPhoto
from facetool.files.align_manifest import CHOICES, AlignRow, format_number, format_quality
from facetool.files.atomic import atomic_write
from facetool.files.crop_names import frame_name, stem_of_frame
from facetool.files.text import counted, same_spelling
from facetool.images.formats import SUFFIXES
from facetool.images.png import encode_png
from facetool.images.read import TRUNCATED, RGBImage, read_image


class DescribedPhoto(NamedTuple):
    """What became of a photo, and the crops of its rows that have one, uint8 (H, W, 3) each."""

    aligned: AlignedPhoto
    crops: list[RGBImage]


@dataclass(frozen=True)
class CropRows:
    """Says what became of photos, as ``align.csv`` does.

    Args:
        crop: the recipe.
        select: by which policy the faces were chosen.
        on_no_face: ``fail`` where a photo without a face counts as failed.
        fallback: folder of images that stand in for photos without a face, and for those that
            cannot be read.
        min_face: faces whose box has a shorter edge, in pixels, are left out.
        min_sharpness: so are those whose crop is less sharp.
    """

    crop: Crop
    select: str
    on_no_face: str
    fallback: Path | None = None
    min_face: float = 0
    min_sharpness: float = 0

    def describe(self, photo: CroppedPhoto, name: str, stem: str) -> DescribedPhoto:
        """The rows of a photo and their crops.

        Args:
            photo: whose name leads to the image that stands in.
            name: the photo's in ``align.csv``.
            stem: path of its crops, without suffix.
        """
        try:
            rows, crops = ([], []) if photo.error else self._rows(photo, name, stem)
        except PHOTO_ERRORS as error:
            photo.error = reason_of(error)
        if photo.error:
            rows, crops = self._failed(photo, name, stem)
        rows = [_with_remarks(row, photo.remarks) for row in rows]
        return DescribedPhoto(AlignedPhoto(rows, photo.state), crops)

    def _rows(
        self, photo: CroppedPhoto, name: str, stem: str
    ) -> tuple[list[AlignRow], list[RGBImage]]:
        faces, missed, _ = photo.located
        good, crops, poor = [], [], []
        for face, crop in zip(faces, photo.crops, strict=True):
            quality = measure_quality(*face, crop)
            if why := self._lack(quality):
                poor.append(why)
            else:
                good.append((face, quality))
                crops.append(crop)
        lack = poor[0] if poor and not good else missed
        if not any(located.face.found for located, _ in good):
            stand_in = self._stand_in(photo, name, stem, lack)
            if stand_in is not None:
                return stand_in
        if not good:
            return [self.without_face(name, lack)], []
        reason = missed or self._choice(len(photo.detected))
        rows = [
            _face_row(*one, name, f"{stem}.face{number}" if number > 1 else stem, reason)
            for number, one in enumerate(good, 1)
        ]
        return [*rows, *(AlignRow(name, "no-face", why) for why in poor)], crops

    def rank(self, located: LocatedFace, crop: RGBImage) -> tuple[bool, float, float]:
        """See :data:`facetool.cropping.video_cropper.Rank`: any good face is above the others."""
        good = not self._lack(measure_quality(*located, crop))
        return good, *by_score(located, crop)

    def describe_track(self, track: FaceTrack, name: str, stem: str) -> AlignRow:
        """The row of a face of a video.

        Args:
            track: the face.
            name: the video's in ``align.csv``.
            stem: path of the crop, without suffix.
        """
        quality = measure_quality(*track.located, track.crop)
        if why := self._lack(quality):
            return AlignRow(name, "no-face", why)
        row = _face_row(track.located, quality, name, stem, self._choice(track.detected))
        best, first, last = map(format_number, track.times)
        return row._replace(time=best, first=first, last=last)

    def without_face(self, name: str, lack: str) -> AlignRow:
        """The row of a photo or video without a face, and without what stands in."""
        return AlignRow(name, "failed" if self.on_no_face == "fail" else "no-face", lack)

    def _lack(self, quality: FaceQuality) -> str:
        return poor_quality(quality, self.min_face, self.min_sharpness)

    def _choice(self, detected: int) -> str:
        """Of how many faces a crop is one, where that was for a rule to choose."""
        rule = CHOICES.get(self.select)
        return f"{rule} {counted(detected, 'face')}" if rule and detected > 1 else ""

    def _failed(
        self, photo: CroppedPhoto, name: str, stem: str
    ) -> tuple[list[AlignRow], list[RGBImage]]:
        """A photo that cannot be used; so may be the image that should stand in."""
        with suppress(*PHOTO_ERRORS):
            stand_in = self._stand_in(photo, name, stem, photo.error)
            if stand_in is not None:
                return stand_in
        return [AlignRow(name, "failed", photo.error)], []

    def _stand_in(
        self, photo: CroppedPhoto, name: str, stem: str, reason: str
    ) -> tuple[list[AlignRow], list[RGBImage]] | None:
        """The row and crop of the image that stands in; None where there is none."""
        if self.fallback is None:
            return None
        crop = _fallback_crop(self.fallback, photo.name, self.crop)
        if crop is None:
            return None
        return [AlignRow(name, "fallback", reason, output=f"{stem}.png")], [crop]


@dataclass(frozen=True)
class CropWriter:
    """Writes the crops of photos below a folder.

    Args:
        output: the folder.
        rows: says what became of a photo.
    """

    output: Path
    rows: CropRows
    _stale: dict[Path, dict[str, list[Path]]] = field(default_factory=dict, init=False)

    def write(self, photo: CroppedPhoto, name: str, stem: str) -> AlignedPhoto:
        """Write the crops of a photo; the arguments are those of :meth:`CropRows.describe`.

        Raises:
            OutputError: a file cannot be written.
        """
        aligned, crops = self.rows.describe(photo, name, stem)
        places = [row.output for row in aligned.rows if row.output]
        for place, crop in zip(places, crops, strict=True):
            self._write(place, crop)
        return aligned

    def write_video(
        self, video: VideoCropper, name: str, stem: str, *, strict: bool
    ) -> list[AlignRow]:
        """Write a crop of each face of a video, as soon as its track has ended.

        Args:
            video: the faces.
            name: the video's in ``align.csv``.
            stem: path of its crops, see :func:`facetool.files.crop_names.frame_name`.
            strict: truncated videos count as failed.

        Raises:
            OutputError: a file cannot be written.
        """
        self._remove_stale(stem)
        made, poor = [], []
        faces = Counter[str]()
        try:
            for track in video:
                frame = frame_name(stem, track.times.best)
                number = faces[frame] + 1
                place = f"{frame}.face{number}" if number > 1 else frame
                row = self.rows.describe_track(track, name, place)
                if not row.output:
                    poor.append(row)
                    continue
                faces[frame] = number
                self._write(row.output, track.crop)
                made.append(row)
            if strict and TRUNCATED in video.remarks:
                raise ImageError(TRUNCATED)
        except PHOTO_ERRORS as error:
            for row in made:
                (self.output / row.output).unlink(missing_ok=True)
            return [AlignRow(name, "failed", reason_of(error))]
        made.sort(key=lambda row: (float(row.time), row.output))
        if not made:
            lack = poor[0].reason if poor else video.missed
            made, poor = [self.rows.without_face(name, lack)], []
        return [_with_remarks(row, video.remarks) for row in made + poor]

    def _write(self, place: str, crop: RGBImage) -> None:
        with atomic_write(self.output / place, durable=False) as file:  # see AlignJournal.finish
            file.write(encode_png(crop))

    def _remove_stale(self, stem: str) -> None:
        """Remove the crops of a video that a run with other frames left, if it was stopped.

        A folder is listed once, for all videos whose crops go there.
        """
        folder, name = (self.output / stem).parent, PurePosixPath(stem).name
        if folder not in self._stale:
            self._stale[folder] = defaultdict(list)
            for crop in folder.glob("*.png"):
                if video := stem_of_frame(crop.stem):
                    self._stale[folder][video].append(crop)
        for crop in self._stale[folder].pop(name, []):
            crop.unlink(missing_ok=True)


def _face_row(
    located: LocatedFace, quality: FaceQuality, name: str, stem: str, reason: str
) -> AlignRow:
    face, landmarks = located
    left, top, right, bottom = (format_number(edge) for edge in face.box)
    return AlignRow(
        name,
        "aligned" if face.found else "center",
        reason,
        left,
        top,
        right,
        bottom,
        f"{face.score:.6g}" if face.found else "",
        " ".join(format_number(value) for value in landmarks.ravel()),
        f"{stem}.png",
        str(face.turn) if face.found else "",
        *format_quality((*quality[:3], *(quality.pose or (None, None, None)))),
    )


def _fallback_crop(fallback: Path, photo: str, crop: Crop) -> RGBImage | None:
    """The image of the same name, whatever its suffix, scaled to the crop's size."""
    import cv2

    wanted = PurePosixPath(photo)
    folders = [fallback]
    for part in wanted.parent.parts:
        folders = [found for folder in folders for found in _spelled(folder, part)]
    stem = same_spelling(wanted.stem)
    for path in sorted(path for folder in folders for path in folder.glob("*")):
        if same_spelling(path.stem) == stem and path.suffix.lower() in SUFFIXES:
            size = (crop.width, crop.height)
            scaled = cv2.resize(read_image(path), size, interpolation=cv2.INTER_AREA)
            return np.asarray(scaled, dtype=np.uint8)
    return None


def _spelled(folder: Path, name: str) -> list[Path]:
    """The folder of that name, or those whose names only look alike."""
    exact = folder / name
    if exact.is_dir() or name.isascii():
        return [exact]
    wanted = same_spelling(name)
    return sorted(path for path in folder.glob("*/") if same_spelling(path.name) == wanted)


def _with_remarks(row: AlignRow, remarks: list[str]) -> AlignRow:
    return row._replace(reason="; ".join(filter(None, (row.reason, *remarks))))
