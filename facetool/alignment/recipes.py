"""Crop recipes as data: how a face is cut out of a photo and scaled for a network.

A recipe belongs to the weights it was trained with: a crop of the wrong recipe costs more
accuracy than a smaller network. This module is data only and imports nothing heavy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from facetool.errors import FormatError, UsageError, check_choice, check_range

METHODS = {
    "five": "chip",
    "outerEyesAndNose": "affine",
    "innerEyesAndBottomLip": "affine",
    "arcface": "similarity",
    "eyesAndMouth": "upright",
    "box": "box",
}
"""Landmark set to the method that uses it."""

LANDMARK_SETS = tuple(METHODS)

_SQUARE = ("chip", "upright")
"""Methods whose crops have one edge only."""


@dataclass(frozen=True)
class Crop:
    """How a face is found and cut out.

    Attributes:
        method: ``chip`` (dlib's ``get_face_chip``), ``affine`` (OpenFace: three points, full
            affine), ``similarity`` (ArcFace: five points, least-squares similarity), ``upright``
            (Light CNN: eyes level) or ``box`` (facenet: the detector's box, not turned).
        landmarks: which points drive it, one of ``LANDMARK_SETS``.
        width: pixels of the crop.
        height: pixels of the crop.
        detector: ``hog``, ``cnn`` or ``mtcnn``, the detector the originals used.
        margin: of a ``box``, columns and rows of the crop that lie outside it.

    Raises:
        UsageError: there are no such landmarks, they are for another method, or the size is none
            that the method gives.
    """

    method: str
    landmarks: str
    width: int
    height: int
    detector: str = "hog"
    margin: int = 0

    def __post_init__(self) -> None:
        check_choice("landmarks", self.landmarks, LANDMARK_SETS)
        if self.method != (method := METHODS[self.landmarks]):
            raise UsageError(
                f"method={self.method!r}: the landmarks {self.landmarks} are for {method}"
            )
        for name, least in (("width", 1), ("height", 1), ("margin", 0)):
            if not isinstance(value := getattr(self, name), int):
                raise UsageError(f"{name}={value!r}: give a whole number")
            check_range(name, value, least)
        if self.margin >= min(self.width, self.height):
            raise UsageError(f"margin={self.margin}: it is as large as the crop")
        if self.method in _SQUARE and self.width != self.height:
            raise UsageError(
                f"crops by {self.landmarks} are square, not {self.width}x{self.height}"
            )

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values; the margin where there is one."""
        values = asdict(self)
        if not self.margin:
            del values["margin"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Crop:
        """The inverse of :meth:`as_dict`.

        Raises:
            FormatError: keys or types are not those of a crop recipe.
        """
        try:
            return cls(**values)
        except (TypeError, UsageError) as error:
            raise FormatError(f"not a crop recipe: {error}") from error

    def same_crop(self, other: Crop) -> bool:
        """Whether both cut the same crop; the detector may differ."""
        ours, theirs = self.as_dict(), other.as_dict()
        del ours["detector"], theirs["detector"]
        return ours == theirs

    def __str__(self) -> str:
        return f"{self.method} {self.width}x{self.height}, {self.landmarks}"


CHANNELS = {"RGB": 3, "BGR": 3, "gray": 1}
"""What a network's input channels are, to how many that makes."""

PerChannel = float | tuple[float, ...]
"""One number for all channels, or one each, in the order of the network's input."""


@dataclass(frozen=True)
class Recipe:
    """Everything between a photo and a network's input tensor.

    The input tensor is ``(pixels - mean) * scale``, float32 (N, C, H, W), with ``pixels`` the
    crop's 8-bit values 0…255.

    Attributes:
        crop: how the face is cut out.
        mean: subtracted.
        scale: factor applied after the mean.
        channels: one of ``CHANNELS``; ``gray`` is the luminance 0.299 R + 0.587 G + 0.114 B,
            rounded, as OpenCV and Pillow make it.

    Raises:
        UsageError: there are no such channels, or mean and scale are no numbers for them.
    """

    crop: Crop
    mean: PerChannel = 0.0
    scale: PerChannel = 1.0
    channels: str = "RGB"

    def __post_init__(self) -> None:
        check_choice("channels", self.channels, tuple(CHANNELS))
        for name in ("mean", "scale"):
            object.__setattr__(self, name, _per_channel(name, getattr(self, name), self.channels))
        if 0 in (self.scale if isinstance(self.scale, tuple) else (self.scale,)):
            raise UsageError("scale=0: the network would see no photo", "scale=0")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the input tensor."""
        return CHANNELS[self.channels], self.crop.height, self.crop.width

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values; the channels where they are not RGB, as in 0.1."""
        values: dict[str, Any] = {"crop": self.crop.as_dict()}
        for key, value in (("mean", self.mean), ("scale", self.scale)):
            values[key] = list(value) if isinstance(value, tuple) else value
        if self.channels != "RGB":
            values["channels"] = self.channels
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The inverse of :meth:`as_dict`.

        Raises:
            FormatError: keys or types are not those of a recipe.
        """
        try:
            crop, mean, scale = Crop.from_dict(values["crop"]), values["mean"], values["scale"]
            return cls(crop, mean, scale, values.get("channels", "RGB"))  # 0.1 knew no other
        except (KeyError, TypeError) as error:
            raise FormatError(f"not a recipe: {error!r}") from error
        except UsageError as error:
            raise FormatError(f"not a recipe: {error}") from error


def _per_channel(name: str, value: Any, channels: str) -> PerChannel:
    """A number, or one for each channel, as JSON and callers have them.

    Raises:
        UsageError: it is neither.
    """
    several = isinstance(value, list | tuple)
    if several and len(value) != CHANNELS[channels]:
        raise UsageError(
            f"{len(value)} numbers as {name} for {CHANNELS[channels]} channels ({channels})"
        )
    try:
        numbers = tuple(float(number) for number in (value if several else (value,)))
    except (TypeError, ValueError):
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise UsageError(
            f"{name}={value!r}: give a number, or one for each channel", f"{name}={value!r}"
        )
    return numbers if several else numbers[0]


DLIB_CHIP = Crop("chip", "five", 150, 150)
OPENFACE_OUTER = Crop("affine", "outerEyesAndNose", 96, 96)
OPENFACE_INNER = Crop("affine", "innerEyesAndBottomLip", 96, 96)
OPENFACE_224 = Crop("affine", "outerEyesAndNose", 224, 224)
ARCFACE_112 = Crop("similarity", "arcface", 112, 112, detector="mtcnn")
LIGHT_CNN = Crop("upright", "eyesAndMouth", 128, 128, detector="mtcnn")
FACENET_160 = Crop("box", "box", 160, 160, detector="mtcnn", margin=14)
VGG_FACE_224 = Crop("box", "box", 224, 224, detector="mtcnn", margin=52)
ARCFACE_112X96 = Crop("similarity", "arcface", 96, 112, detector="mtcnn")


def override(
    crop: Crop, landmarks: str | None = None, size: int | None = None, detector: str | None = None
) -> Crop:
    """A recipe with parts of it replaced.

    Args:
        crop: the recipe to start from.
        landmarks: one of ``LANDMARK_SETS``; brings its method with it.
        size: edge of a square crop, pixels.
        detector: ``hog``, ``cnn`` or ``mtcnn``.

    Raises:
        UsageError: there are no such landmarks, or their crops have another shape.
    """
    changes: dict[str, Any] = {}
    if landmarks is not None:
        changes |= {"landmarks": landmarks, "method": METHODS.get(landmarks)}
    if size is not None:
        changes |= {"width": size, "height": size}
    if detector is not None:
        changes["detector"] = detector
    return replace(crop, **changes)
