"""The crop of networks that look at a detector's box: no rotation, width and height scaled each.

Source: ``extract_face`` of facenet-pytorch (models/utils/detect_face.py).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from facetool.alignment.landmarks import Points
from facetool.errors import ImageError
from facetool.images.read import RGBImage


def box_crop(image: RGBImage, corners: Points, width: int, height: int, margin: int) -> RGBImage:
    """Cut a box out and resize it as Pillow does, bilinear with an area filter.

    Args:
        image: uint8 (H, W, 3).
        corners: of the box, left top and right bottom (2, 2), pixels.
        width: of the crop, pixels.
        height: of the crop, pixels.
        margin: columns and rows of the crop that lie outside the box, half on either side; where
            the photo ends there, the box is cut off.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ImageError: the box lies outside the photo.
    """
    size = np.array([width, height])
    room = (corners[1] - corners[0]) * margin / (size - margin) / 2
    left, top = np.maximum(corners[0] - room, 0).astype(int).tolist()
    right, bottom = np.minimum(corners[1] + room, image.shape[1::-1]).astype(int).tolist()
    if right <= left or bottom <= top:
        raise ImageError("the face lies outside the photo")
    part = Image.fromarray(image[top:bottom, left:right])
    return np.asarray(part.resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)
