"""Two images in one, to be looked at together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from facetool.errors import ImageError
from facetool.images.read import RGBImage

Reader = Callable[[], RGBImage]
"""Reads one image; raises ImageError where it cannot."""

_GAP = 4
_EMPTY = 128
"""The grey that stands for an image that is not there."""


def side_by_side(readers: Sequence[Reader]) -> RGBImage:
    """Read images and put them beside each other at the height of the highest.

    One that cannot be read leaves a grey square.

    Args:
        readers: each gives RGB uint8 (H, W, 3).

    Raises:
        ImageError: none can be read.
    """
    images: list[RGBImage | None] = []
    for read in readers:
        try:
            images.append(read())
        except ImageError as error:
            reason = error
            images.append(None)
    height = max((len(image) for image in images if image is not None), default=0)
    if not height:
        raise reason
    parts: list[RGBImage] = []
    for image in images:
        if parts:
            parts.append(np.full((height, _GAP, 3), 255, np.uint8))
        parts.append(_at_height(image, height))
    return np.hstack(parts)


def _at_height(image: RGBImage | None, height: int) -> RGBImage:
    if image is None:
        return np.full((height, height, 3), _EMPTY, np.uint8)
    if len(image) == height:
        return image
    width = max(1, round(image.shape[1] * height / len(image)))
    resized: RGBImage = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return resized
