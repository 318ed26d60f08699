"""OpenFace's crop: three landmarks moved onto the mean face by a full affine transform.

Source: Amos, Ludwiczuk, Satyanarayanan, "OpenFace: A general-purpose face recognition library
with mobile applications", CMU-CS-16-118, 2016; the mean face is ``models/dlib/mean.csv`` there.
"""

from __future__ import annotations

import cv2
import numpy as np

from facetool.alignment.landmarks import OPENFACE_INDICES, Points, openface_points
from facetool.images.read import RGBImage

_MEAN_FACE = {
    36: (0.252418718401, 0.331052263829),
    45: (0.782865376271, 0.321305281656),
    33: (0.520712933176, 0.634268222208),
    39: (0.403718978315, 0.33867711083),
    42: (0.631326076346, 0.334136672344),
    57: (0.525398405766, 0.841706377792),
}
_LOWEST = np.array([0.0792396913815, 0.182360984545])
_HIGHEST = np.array([0.971193274221, 1.06080371126])


def openface_template(landmarks: str) -> Points:
    """Where the three points lie in a crop of unit size: (3, 2), the mean face min-max scaled."""
    mean = np.array([_MEAN_FACE[index] for index in OPENFACE_INDICES[landmarks]])
    template: Points = (mean - _LOWEST) / (_HIGHEST - _LOWEST)
    return template


def affine_crop(
    image: RGBImage, points: Points, landmarks: str, width: int, height: int
) -> RGBImage:
    """Cut a face out as OpenFace's ``AlignDlib.align`` does: bilinear, black outside.

    Args:
        image: uint8 (H, W, 3).
        points: dlib's 68 landmarks (68, 2), or for ``outerEyesAndNose`` its 5 (5, 2).
        landmarks: ``outerEyesAndNose`` or ``innerEyesAndBottomLip``.
        width: of the crop, pixels.
        height: of the crop, pixels.

    Returns:
        uint8 (height, width, 3).
    """
    source = openface_points(points, landmarks).astype(np.float32)
    target = (openface_template(landmarks) * (width, height)).astype(np.float32)
    transform = cv2.getAffineTransform(source, target)
    return np.asarray(cv2.warpAffine(image, transform, (width, height)), dtype=np.uint8)
