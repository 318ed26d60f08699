"""ArcFace's crop: five landmarks moved onto a template by a least-squares similarity.

Sources: Umeyama, "Least-squares estimation of transformation parameters between two point
patterns", PAMI 13(4), 1991; the template is InsightFace's.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.alignment.landmarks import Points, arcface_points
from facetool.errors import ImageError, UsageError
from facetool.images.read import RGBImage

_TEMPLATE_112 = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)


def arcface_template(width: int, height: int) -> Points:
    """Where the five points lie in a crop: (5, 2).

    112x112 as published; 112 rows by 96 columns is the same face with 8 columns fewer on each
    side; other squares are scaled.

    Raises:
        UsageError: another shape.
    """
    if (width, height) == (96, 112):
        return _TEMPLATE_112 - (8, 0)
    if width != height:
        raise UsageError(
            f"an ArcFace crop is square or 96x112 (width x height), not {width}x{height}"
        )
    return _TEMPLATE_112 * (width / 112)


def umeyama(source: Points, target: Points) -> NDArray[np.float64]:
    """The similarity (rotation, scale, translation) that minimises the squared distances.

    Args:
        source: (K, 2).
        target: (K, 2).

    Returns:
        (2, 3): ``target ≈ source @ M[:, :2].T + M[:, 2]``.

    Raises:
        ImageError: all source points coincide.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred = source - source_mean
    variance = centred.var(axis=0).sum()
    if variance == 0:
        raise ImageError("the landmarks coincide")
    covariance = (target - target_mean).T @ centred / len(source)
    left, singular, right = np.linalg.svd(covariance)
    # Reflections are ruled out: a mirrored face is no similarity (Umeyama, eq. 39 and 40).
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ np.diag(signs) @ right
    scale = (singular * signs).sum() / variance
    shift = target_mean - scale * rotation @ source_mean
    return np.hstack([scale * rotation, shift[:, None]])


def similarity_crop(image: RGBImage, points: Points, width: int, height: int) -> RGBImage:
    """Cut a face out as InsightFace's ``face_preprocess`` does: bilinear, black outside.

    Args:
        image: uint8 (H, W, 3).
        points: five points of a detector (5, 2), or dlib's 68.
        width: of the crop, pixels.
        height: of the crop, pixels.

    Returns:
        uint8 (height, width, 3).
    """
    transform = umeyama(arcface_points(points), arcface_template(width, height))
    return np.asarray(cv2.warpAffine(image, transform, (width, height)), dtype=np.uint8)
