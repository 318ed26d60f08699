"""Decoding crops in batches, ahead of their use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.alignment.recipes import Crop
from facetool.errors import ImageError
from facetool.images.read import RGBImage
from facetool.jobs.ordered_map import ordered_map

_BATCHES_AHEAD = 2
"""Batches decoded while one is in the network: enough to hide decoding, little to hold."""


@dataclass
class CropBatch:
    """Decoded crops, and what could not be decoded.

    Attributes:
        crops: uint8 RGB (N, H, W, 3), of the recipe's size; (0, 0, 0, 3) where none could.
        names: N names.
        failures: (name, reason) of the others.
        resized: how many crops were of another size and had to be scaled.
    """

    crops: NDArray[np.uint8]
    names: list[str]
    failures: list[tuple[str, str]]
    resized: int


def load_crops(
    read: Callable[[str], RGBImage],
    batches: Sequence[Sequence[str]],
    crop: Crop,
    threads: int,
) -> Iterator[CropBatch]:
    """Decode batches in order; decoding releases the interpreter's lock.

    Args:
        read: an image by name; called in several threads.
        batches: names.
        crop: whose size the images are brought to.
        threads: that decode.
    """

    def load(name: str) -> tuple[RGBImage, bool] | ImageError:
        try:
            return _fit(read(name), crop)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        yield from ordered_map(
            lambda names: (names, [pool.submit(load, name) for name in names]),
            lambda started: _collect(started[0], [future.result() for future in started[1]]),
            batches,
            _BATCHES_AHEAD + 1,
        )


def _fit(image: RGBImage, crop: Crop) -> tuple[RGBImage, bool]:
    """The image in the crop's size, and whether it had to be scaled."""
    height, width = image.shape[:2]
    if (height, width) == (crop.height, crop.width):
        return image, False
    margin = (width - crop.width) // 2
    if crop.landmarks == "arcface" and height == crop.height and width == height and margin > 0:
        # ArcFace's template for 112x112 is that for 112x96, eight columns further right.
        return image[:, margin : margin + crop.width], False
    scaled = cv2.resize(image, (crop.width, crop.height), interpolation=cv2.INTER_AREA)
    return np.asarray(scaled, dtype=np.uint8), True


def _collect(
    names: Sequence[str], results: Sequence[tuple[RGBImage, bool] | ImageError]
) -> CropBatch:
    good, crops, failures, resized = [], [], [], 0
    for name, result in zip(names, results, strict=True):
        if isinstance(result, ImageError):
            failures.append((name, str(result)))
        else:
            good.append(name)
            crops.append(result[0])
            resized += result[1]
    stacked = np.stack(crops) if crops else np.empty((0, 0, 0, 3), np.uint8)
    return CropBatch(stacked, good, failures, resized)
