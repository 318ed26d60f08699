"""What can be said of a face's quality before any network sees it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from facetool.alignment.landmarks import Points
from facetool.alignment.pose import Pose, head_pose
from facetool.detection.face import Face
from facetool.images.read import RGBImage

_EDGE = 112
"""Pixels to which crops are scaled before their sharpness is measured."""


class FaceQuality(NamedTuple):
    """Measures of a face and its crop.

    Attributes:
        size: shorter edge of the box, in pixels of the photo; None where no face was found.
        sharpness: variance of the Laplacian of the gray crop, its values 0…255, scaled to 112
            pixels (Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, 2000).
        exposure: mean of the gray crop, 0 black … 1 white.
        pose: of the head, where there are landmarks to tell.
    """

    size: float | None
    sharpness: float
    exposure: float
    pose: Pose | None


def measure_quality(face: Face, landmarks: Points, crop: RGBImage) -> FaceQuality:
    """The quality of a face.

    Args:
        face: as it was detected.
        landmarks: those that the crop was made from.
        crop: uint8 (H, W, 3).
    """
    import cv2

    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    exposure = float(gray.mean()) / 255
    if gray.shape != (_EDGE, _EDGE):
        way = cv2.INTER_AREA if min(gray.shape) > _EDGE else cv2.INTER_LINEAR
        gray = cv2.resize(gray, (_EDGE, _EDGE), interpolation=way)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
    size = None
    pose = None
    if face.found:
        box = face.box
        size = float(round(min(box.right - box.left, box.bottom - box.top) + 1))
        if face.landmarks is not None:
            pose = head_pose(face.landmarks, predicted=False)
        elif len(landmarks) >= 5:
            pose = head_pose(landmarks, predicted=True)
    # As in align.csv, and so is the size, so that limits taken from there hold to the digit.
    sharpness = round(float(np.square(deviation).item()), 1)
    return FaceQuality(size, sharpness, exposure, pose)


def poor_quality(quality: FaceQuality, min_face: float, min_sharpness: float) -> str:
    """Why a face is not good enough, for people; empty where it is, or where none was found."""
    if quality.size is None:
        return ""
    if quality.size < min_face:
        return f"face too small: {quality.size:.0f} pixels of {min_face:g}"
    if quality.sharpness < min_sharpness:
        return f"face too blurred: sharpness {quality.sharpness:.0f} of {min_sharpness:g}"
    return ""
