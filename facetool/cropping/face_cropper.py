"""From photos to face crops: detect, choose, find landmarks, cut. Shared by every stage that
starts with raw photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from facetool.alignment.crop import cut_face
from facetool.alignment.landmarks import PREDICTOR_POINTS, Points, check_points
from facetool.alignment.recipes import Crop
from facetool.cropping.detectors import create_detector
from facetool.cropping.landmark_check import are_same, contradiction, unsteadiness
from facetool.cropping.remarks import CHOSEN, LEFT_OUT, TOO_LARGE
from facetool.detection.face import Box, Face, check_face, select_faces
from facetool.detection.options import DEFAULT_SELECT, PREDICTORS, SELECTIONS, DetectionSettings
from facetool.detection.registry import detector_entry
from facetool.detection.search import PhotoSearch, upright_view
from facetool.errors import UsageError, check_choice
from facetool.files.align_manifest import CHOICES
from facetool.files.text import counted
from facetool.images.arrays import as_rgb_image
from facetool.images.read import Photo, RGBImage

if TYPE_CHECKING:
    import torch

CENTRE_BOX = 0.44
"""Edge of the box assumed around a missed face, as a share of the shorter side of the photo:
the median HOG box on LFW is 108 of 250 pixels."""

CENTRE_POINTS = ((-0.086, -0.047), (0.089, -0.050), (0.002, 0.055), (-0.071, 0.143), (0.081, 0.141))
"""Eyes, nose and mouth corners of that face, from the photo's centre, in shorter sides: the medians
of MTCNN's points on LFW-a. They stand in for a detector's own points; a face that a detector
misses is mostly one that dlib's landmark predictor, too, would get wrong."""


ODD_PHOTO_ERRORS = (RuntimeError, MemoryError, ValueError)
"""How dlib and OpenCV answer photos of odd shapes."""

NOT_UPRIGHT = "not upright"

NO_FACE = "no face found"


def no_face_hint(detector: str) -> str:
    """What may help where that detector finds no face."""
    better = "" if detector == "mtcnn" else "the detector mtcnn or "
    return f"{better}a larger photo may help"


class LocatedFace(NamedTuple):
    """A face and the landmarks (K, 2), in pixels of the photo, that its crop is made from."""

    face: Face
    landmarks: Points


class LocatedFaces(NamedTuple):
    """The chosen faces of a photo.

    Attributes:
        faces: those that were found, or the one that is assumed.
        missed: why none was found; empty where one was.
        remarks: what a user should know of the others.
    """

    faces: list[LocatedFace]
    missed: str = ""
    remarks: tuple[str, ...] = ()


class FaceCrop(NamedTuple):
    """A face and what was cut out around it, uint8 (H, W, 3)."""

    face: Face
    image: RGBImage


def gives_points(crop: Crop) -> bool:
    """Whether the recipe's detector gives the landmarks that the recipe needs."""
    if crop.landmarks == "box":
        return True
    return crop.landmarks in ("arcface", "eyesAndMouth") and detector_entry(crop.detector).points


def points_of(crop: Crop, predictor: int | None = None) -> str:
    """Whose points drive a crop: such as ``mtcnn 5``, ``mtcnn box``, ``dlib 5`` or ``dlib 68``.

    Args:
        crop: the recipe.
        predictor: 5 or 68 for dlib's landmark predictor; default: the detector's
            own points where they fit the recipe, else the predictor the originals use.

    Raises:
        UsageError: there is no such predictor, or the recipe cannot be made from its points.
    """
    check_choice("predictor", predictor, (*PREDICTORS, None))
    if predictor is None and gives_points(crop):
        return f"{crop.detector} {'box' if crop.landmarks == 'box' else 5}"
    able = PREDICTOR_POINTS[crop.landmarks]
    if not able:
        raise UsageError(
            f"predictor={predictor}: the crop is the detector's box, which needs none",
            f"predictor={predictor}",
        )
    if predictor is not None and predictor not in able:
        raise UsageError(
            f"predictor={predictor} does not give the points {crop.landmarks}; "
            f"use predictor={able[0]}",
            f"predictor={predictor}",
            f"predictor={able[0]}",
        )
    return f"dlib {predictor or able[0]}"


def keep_to_one_core(crop: Crop, device: str = "cpu") -> None:
    """In one of many worker processes, which together keep all cores busy: hold PyTorch to one.

    It is loaded only for the detector that needs it, and then keeps the memory of a batch for the
    next. On a GPU the workers are threads of the main process, which is left as it is.
    """
    if device == "cpu" and detector_entry(crop.detector).torch:
        import torch

        from facetool.jobs.allocator import keep_freed_memory

        torch.set_num_threads(1)
        keep_freed_memory()


@dataclass
class FaceCropper:
    """Cuts the chosen faces out of photos.

    Args:
        crop: the recipe, its detector included.
        detection: how that detector is used; default: its default settings.
        select: policy of :func:`facetool.detection.face.select_faces`.
        assume_center: cut around the centre of a photo where no face is found.
        predictor: see :func:`points_of`.
        device: where a detector on PyTorch runs: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: no such detector or device, or settings or a predictor that do not fit.
        WeightsError: the detector's weights are not on this machine.
    """

    crop: Crop
    detection: DetectionSettings | None = None
    select: str = DEFAULT_SELECT
    assume_center: bool = False
    predictor: int | None = None
    device: str | torch.device = "auto"
    _detector: PhotoSearch = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from facetool.detection.dlib import LandmarkPredictor

        check_choice("select", self.select, SELECTIONS)
        points_of(self.crop, self.predictor)  # raises where these landmarks do not fit the recipe
        self._own_points = self.predictor is None and gives_points(self.crop)
        self._detector = create_detector(self.crop.detector, self.detection, device=self.device)
        if not self._own_points:
            self._predictor = LandmarkPredictor(
                self.predictor or PREDICTOR_POINTS[self.crop.landmarks][0]
            )

    def crops(self, image: RGBImage) -> list[FaceCrop]:
        """The chosen faces of one photo; empty where none is found and none assumed."""
        return self.cut_all(image, self.find(image).faces)

    def find(self, image: RGBImage) -> LocatedFaces:
        """The chosen faces of one photo and their landmarks, or why there are none."""
        (faces,) = self.detect([image])
        located = self.locate_detected(image, faces)
        rule = CHOICES.get(self.select)
        if rule and len(faces) > 1 and located.faces:
            remark = f"{rule} {len(faces):,} {CHOSEN}"
            return located._replace(remarks=(*located.remarks, remark))
        return located

    def cut_all(self, image: RGBImage, faces: Sequence[LocatedFace]) -> list[FaceCrop]:
        """The crops of a photo's located faces."""
        return [FaceCrop(face, self.cut(image, landmarks)) for face, landmarks in faces]

    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        """The first step: all faces of several photos, detected together."""
        return self._detector.detect(images)

    def locate(self, image: RGBImage, faces: Sequence[Face]) -> LocatedFaces:
        """The second: the chosen ones of a photo's faces, with the landmarks their crops need.

        A face that is clearer where the photo is turned does not count as found, nor does one
        whose landmarks contradict each other: of photos that lie on their sides or stand on their
        heads, whose crops would show no face.

        Args:
            image: uint8 RGB (H, W, 3).
            faces: of the detector, or a caller's own.

        Raises:
            UsageError: a face cannot be one of the photo, or lacks the landmarks that the recipe
                needs.
        """
        image = as_rgb_image(image)
        for face in faces:
            check_face(face, image)
        return self.locate_detected(image, faces)

    def locate_detected(self, image: RGBImage, faces: Sequence[Face]) -> LocatedFaces:
        """The same of faces as they were detected: an odd one is a matter of its photo alone."""
        image = as_rgb_image(image)
        missed = _missed(faces, self.select)
        located = []
        chosen = select_faces(faces, self.select, image)
        for face in chosen:
            landmarks = self._landmarks(image, face)
            missed = self._contradiction(image, face, landmarks)
            if not missed:
                located.append(LocatedFace(face, landmarks))
        if located:
            dropped = len(chosen) - len(located)
            remark = f"{dropped} of {counted(len(chosen), 'face')} {LEFT_OUT}"
            return LocatedFaces(located, remarks=(remark,) if dropped else ())
        if chosen and (others := len(faces) - len(chosen)):
            missed += f"; {counted(others, 'other face')} found, which the option select can take"
        if self.assume_center:
            face = _centre_face(image)
            located = [LocatedFace(face, self._landmarks(image, face))]
        return LocatedFaces(located, missed)

    def landmarks(self, image: RGBImage, face: Face) -> Points:
        """The points (K, 2) of a face that its crop is made from.

        Raises:
            UsageError: as :meth:`locate`.
        """
        image = as_rgb_image(image)
        check_face(face, image)
        return self._landmarks(image, face)

    def _landmarks(self, image: RGBImage, face: Face) -> Points:
        if self.crop.landmarks == "box":
            return np.array(face.box, dtype=float).reshape(2, 2)
        if self._own_points:
            if face.landmarks is None:
                raise UsageError(
                    f"the crop {self.crop} needs the landmarks of a face; give them, or "
                    "predictor=68 to find them",
                    "predictor=68",
                )
            return face.landmarks
        if face.turn:
            view = upright_view(image, face)
            points = self._predictor.predict(view.pixels, self._box(view.from_photo(face)))
            return view.points_in_photo(points)
        return self._predictor.predict(image, self._box(face))

    def remarks_on(self, photo: Photo) -> list[str]:
        """What a user should know of how a photo was read and is searched."""
        return [text for text in (*photo.remarks, self.remark(photo.pixels)) if text]

    def remark(self, image: RGBImage) -> str:
        """What a user should know of how a photo is searched; mostly nothing."""
        size = self._detector.searched_size(image)
        return "" if size is None else f"searched for faces at {size[0]}x{size[1]}: {TOO_LARGE}"

    def cut(self, image: RGBImage, landmarks: Points) -> RGBImage:
        """The third: the crop of a located face, uint8 (H, W, 3).

        Raises:
            UsageError: the landmarks are not those that the recipe needs.
        """
        check_points(landmarks, *((2,) if self.crop.landmarks == "box" else (5, 68)))
        return cut_face(image, landmarks, self.crop)

    def _contradiction(self, image: RGBImage, face: Face, landmarks: Points) -> str:
        """Why the landmarks cannot be those of the face; empty where they may be."""
        if face.landmarks is not None and (
            reason := contradiction(face.landmarks, face.box, predicted=False)
        ):
            return reason
        predicted = not self._own_points
        if predicted and (reason := contradiction(landmarks, face.box, predicted=True)):
            return reason
        better = self._detector.better_turned(image, face)
        if better is not None:
            if self._agree(image, face, better):
                return ""
            return (
                f"{NOT_UPRIGHT}: a face is clearer with the photo turned by {better.turn} degrees; "
                "the option rotate turns it (if-missed)"
            )
        if predicted and not self._detector.is_sure(face):
            view = upright_view(image, face)
            box = self._box(view.from_photo(face))
            return unsteadiness(box, partial(self._predictor.predict, view.pixels))
        return ""

    def _agree(self, image: RGBImage, face: Face, turned: Face) -> bool:
        """Whether a face has the same landmarks where the photo is turned: it is tilted merely."""
        if self.crop.landmarks != "box":
            return are_same(self._landmarks(image, face), self._landmarks(image, turned))
        if face.landmarks is None or turned.landmarks is None:
            return False
        return are_same(face.landmarks, turned.landmarks)

    def _box(self, face: Face) -> Box:
        """Where dlib's landmark predictor looks: as in training, in a box like hog's."""
        from facetool.detection.dlib import hog_box

        return face.box if face.landmarks is None or not face.found else hog_box(face.landmarks)


def _missed(faces: Sequence[Face], policy: str) -> str:
    """Why a policy chose none of the faces that were detected."""
    if policy == "only" and len(faces) > 1:
        return f"not exactly one face: {len(faces)} found"
    return NO_FACE


def _centre_face(image: RGBImage) -> Face:
    """The face assumed in a photo where none is found."""
    height, width = image.shape[:2]
    side = min(height, width)
    half = CENTRE_BOX * side / 2
    x, y = width / 2, height / 2
    box = Box(round(x - half), round(y - half), round(x + half), round(y + half))
    return Face(box, 0.0, np.array(CENTRE_POINTS) * side + (x, y), found=False)
