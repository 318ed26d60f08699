"""Arrays of pixels that a caller gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import UsageError


def as_rgb_image(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An RGB image whose rows lie one after the other: dlib reads anything else as noise, or not.

    Args:
        image: as a caller has it, such as a mirrored or cropped view.

    Returns:
        The same array where it lies so, else a copy.

    Raises:
        UsageError: it is not uint8 (H, W, 3), with pixels.
    """
    if not _is_rgb(image, 3):
        raise UsageError(f"an image is uint8 (H, W, 3), RGB 0…255, not {described(image)}")
    return np.ascontiguousarray(image)


def check_rgb_crops(crops: NDArray[Any], height: int, width: int) -> None:
    """Refuse what are no crops of a size.

    Raises:
        UsageError: they are not uint8 (N, height, width, 3).
    """
    if not _is_rgb(crops, 4) or crops.shape[1:3] != (height, width):
        raise UsageError(
            f"crops for this network are uint8 (N, {height}, {width}, 3), RGB 0…255, not "
            f"{described(crops)}; facetool.FaceCropper(network.recipe.crop) cuts them out"
        )


def _is_rgb(pixels: Any, dimensions: int) -> bool:
    return (
        isinstance(pixels, np.ndarray)
        and pixels.dtype == np.uint8
        and pixels.ndim == dimensions
        and pixels.shape[-1] == 3
        and pixels.size > 0
    )


def described(pixels: Any) -> str:
    """What somebody gave in place of an array, for messages."""
    if not isinstance(pixels, np.ndarray):
        return type(pixels).__name__
    return f"{pixels.dtype} {pixels.shape}"
