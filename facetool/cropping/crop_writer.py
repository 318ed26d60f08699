"""The files of crops, and the rows of ``align.csv`` that say what became of a photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from facetool.alignment.recipes import Crop
from facetool.cropping.face_cropper import LocatedFace
from facetool.cropping.photo_cropper import PHOTO_ERRORS, CroppedPhoto, reason_of
from facetool.files.align_journal import AlignedPhoto
from facetool.files.align_manifest import CHOICES, AlignRow
from facetool.files.atomic import atomic_write
from facetool.images.formats import SUFFIXES
from facetool.images.png import encode_png
from facetool.images.read import RGBImage, read_image


@dataclass(frozen=True)
class CropWriter:
    """Writes the crops of photos below a folder.

    Args:
        output: the folder.
        crop: the recipe.
        select: by which policy the faces were chosen.
        on_no_face: ``fail`` where a photo without a face counts as failed.
        fallback: folder of images that stand in for photos without a face.
    """

    output: Path
    crop: Crop
    select: str
    on_no_face: str
    fallback: Path | None

    def write(self, photo: CroppedPhoto, name: str, stem: str) -> AlignedPhoto:
        """Write the crops of a photo.

        Args:
            photo: whose name leads to the image that stands in.
            name: the photo's in ``align.csv``.
            stem: path of its crops below the folder, without suffix.

        Raises:
            OutputError: a file cannot be written.
        """
        try:
            rows = [] if photo.error else self._write(photo, name, stem)
        except PHOTO_ERRORS as error:
            photo.error = reason_of(error)
        if photo.error:
            rows = [AlignRow(name, "failed", photo.error)]
        return AlignedPhoto([_with_remarks(row, photo.remarks) for row in rows], photo.state)

    def _write(self, photo: CroppedPhoto, name: str, stem: str) -> list[AlignRow]:
        faces, missed = photo.located
        if not faces:
            return [self._without_face(photo, name, stem)]
        reason = missed or self._choice(len(photo.detected))
        return [
            self._write_face(
                face, crop, name, f"{stem}.face{number}" if number > 1 else stem
            )._replace(reason=reason)
            for number, (face, crop) in enumerate(zip(faces, photo.crops, strict=True), 1)
        ]

    def _choice(self, detected: int) -> str:
        """Of how many faces a crop is one, where that was for a rule to choose."""
        rule = CHOICES.get(self.select)
        return f"{rule} {detected} faces" if rule and detected > 1 else ""

    def _write_face(self, located: LocatedFace, crop: RGBImage, name: str, stem: str) -> AlignRow:
        face, landmarks = located
        left, top, right, bottom = (_number(edge) for edge in face.box)
        return AlignRow(
            name,
            "aligned" if face.found else "center",
            "",
            left,
            top,
            right,
            bottom,
            f"{face.score:.6g}" if face.found else "",
            " ".join(_number(value) for value in landmarks.ravel()),
            self._write_crop(stem, crop),
            str(face.turn) if face.found else "",
        )

    def _without_face(self, photo: CroppedPhoto, name: str, stem: str) -> AlignRow:
        reason = photo.located.missed
        if self.fallback is not None:
            stand_in = _fallback_crop(self.fallback, photo.name, self.crop)
            if stand_in is not None:
                return AlignRow(name, "fallback", reason, output=self._write_crop(stem, stand_in))
        return AlignRow(name, "failed" if self.on_no_face == "fail" else "no-face", reason)

    def _write_crop(self, stem: str, image: RGBImage) -> str:
        name = f"{stem}.png"
        with atomic_write(self.output / name, durable=False) as file:  # see AlignJournal.finish
            file.write(encode_png(image))
        return name


def _fallback_crop(fallback: Path, photo: str, crop: Crop) -> RGBImage | None:
    """The image of the same name, whatever its suffix, scaled to the crop's size."""
    import cv2

    wanted = PurePosixPath(photo)
    beside = sorted((fallback / wanted).parent.glob("*"))
    for path in beside:
        if path.stem == wanted.stem and path.suffix.lower() in SUFFIXES:
            size = (crop.width, crop.height)
            scaled = cv2.resize(read_image(path), size, interpolation=cv2.INTER_AREA)
            return np.asarray(scaled, dtype=np.uint8)
    return None


def _with_remarks(row: AlignRow, remarks: list[str]) -> AlignRow:
    return row._replace(reason="; ".join(filter(None, (row.reason, *remarks))))


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
