"""What decides which faces of a photo are cut out, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facetool.alignment.recipes import Crop
from facetool.cropping.detectors import describe_detector
from facetool.cropping.face_cropper import FaceCropper, points_of
from facetool.detection.options import DEFAULT_SELECT, PREDICTORS, SELECTIONS, DetectionSettings
from facetool.errors import check_choice
from facetool.files.align_description import ON_NO_FACE, AlignDescription
from facetool.images.choices import DEFAULT_EVERY
from facetool.images.video import check_every


@dataclass(frozen=True, kw_only=True)
class AlignSettings:
    """What decides how a crop looks; a folder holds crops of one kind only.

    Attributes:
        crop: the recipe.
        detection: how the recipe's detector is used; default: its default settings.
        select: ``largest``, ``center``, ``all`` or ``only``.
        on_no_face: ``skip`` (no crop), ``center`` (cut around the centre) or ``fail`` (no crop,
            and the input counts as failed).
        fallback: folder whose same-named image, scaled to the crop's size, stands in for a
            photo without a face or one that cannot be read, as OpenFace's ``--fallbackLfw``;
            where it has none, ``on_no_face`` applies.
        predictor: 5 or 68 for dlib's landmarks instead of those the recipe comes with.
        strict: truncated photos count as failed.
        min_face: smaller faces, by the shorter edge of the box in pixels, count as missed.
        min_sharpness: so do blurred ones, by the variance of the Laplacian of the crop.
        every: seconds from one frame of a video that is searched to the next, or ``scene`` for
            the first of each scene; default: ``DEFAULT_EVERY``, and videos in folders are left
            alone.

    Raises:
        UsageError: a setting has no such choice.
    """

    crop: Crop
    detection: DetectionSettings | None = None
    select: str = DEFAULT_SELECT
    on_no_face: str = "skip"
    fallback: str | Path | None = None
    predictor: int | None = None
    strict: bool = False
    min_face: float = 0
    min_sharpness: float = 0
    every: float | str | None = None

    def __post_init__(self) -> None:
        check_every(self.frames)
        check_choice("select", self.select, SELECTIONS)
        check_choice("on_no_face", self.on_no_face, ON_NO_FACE)
        check_choice("predictor", self.predictor, (*PREDICTORS, None))

    @property
    def frames(self) -> float | str:
        """Which frames of videos are searched: see :func:`facetool.images.video.check_every`."""
        return DEFAULT_EVERY if self.every is None else self.every

    def cropper(self, device: str) -> FaceCropper:
        """What cuts the faces out, with its detector on ``cpu``, ``cuda`` or ``cuda:N``."""
        return FaceCropper(
            self.crop,
            self.detection,
            self.select,
            assume_center=self.on_no_face == "center",
            predictor=self.predictor,
            device=device,
        )

    def description(self) -> AlignDescription:
        """The settings as they stand in ``align.json``."""
        return AlignDescription(
            crop=self.crop.as_dict(),
            detector=describe_detector(self.crop.detector, self.detection),
            select=self.select,
            on_no_face=self.on_no_face,
            fallback=None if self.fallback is None else str(Path(self.fallback).resolve()),
            points=points_of(self.crop, self.predictor),
            strict=self.strict,
            min_face=float(self.min_face) or None,
            min_sharpness=float(self.min_sharpness) or None,
        )
