"""Cuts out a face by the method that its crop recipe names."""

from __future__ import annotations

from facetool.alignment.landmarks import Points
from facetool.alignment.recipes import Crop
from facetool.images.arrays import as_rgb_image
from facetool.images.read import RGBImage


def cut_face(image: RGBImage, points: Points, crop: Crop) -> RGBImage:
    """Cut a face out of a photo.

    Args:
        image: uint8 (H, W, 3), upright.
        points: (K, 2) landmarks of the kind the recipe needs; for ``box`` its corners (2, 2).
        crop: the recipe.

    Returns:
        uint8 (crop.height, crop.width, 3).

    Raises:
        UsageError: the image is not uint8 (H, W, 3).
    """
    image = as_rgb_image(image)
    if crop.method == "chip":
        from facetool.alignment.dlib_chip import chip_crop

        return chip_crop(image, points, crop.width)
    if crop.method == "affine":
        from facetool.alignment.affine import affine_crop

        return affine_crop(image, points, crop.landmarks, crop.width, crop.height)
    if crop.method == "upright":
        from facetool.alignment.upright import upright_crop

        return upright_crop(image, points, crop.width)
    if crop.method == "box":
        from facetool.alignment.box import box_crop

        return box_crop(image, points, crop.width, crop.height, crop.margin)
    from facetool.alignment.similarity import similarity_crop

    return similarity_crop(image, points, crop.width, crop.height)
