"""Recipes by name, and what a user states of the input of a network whose file does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from facetool.alignment.recipes import (
    ARCFACE_112,
    ARCFACE_112X96,
    CHANNELS,
    DLIB_CHIP,
    FACENET_160,
    LIGHT_CNN,
    METHODS,
    OPENFACE_224,
    OPENFACE_INNER,
    OPENFACE_OUTER,
    VGG_FACE_224,
    Crop,
    PerChannel,
    Recipe,
)
from facetool.errors import FormatError, UsageError

CROPS: dict[str, Crop] = {
    "dlib": DLIB_CHIP,
    "openface": OPENFACE_OUTER,
    "openface-inner": OPENFACE_INNER,
    "openface-224": OPENFACE_224,
    "arcface": ARCFACE_112,
    "arcface-112x96": ARCFACE_112X96,
    "facenet": FACENET_160,
    "light-cnn": LIGHT_CNN,
    "vgg-face": VGG_FACE_224,
}
"""The crops that networks were published with."""

_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)

RECIPES: dict[str, Recipe] = {
    "dlib": Recipe(DLIB_CHIP),
    "openface": Recipe(OPENFACE_OUTER, scale=1 / 255),
    "openface-inner": Recipe(OPENFACE_INNER, scale=1 / 255),
    "openface-224": Recipe(OPENFACE_224, scale=1 / 255),
    # The scaling is inside the network, as in InsightFace's MXNet exports.
    "arcface-inside": Recipe(ARCFACE_112),
    # arcface_torch, InsightFace's packs, InsightFace_Pytorch, CurricularFace.
    "arcface": Recipe(ARCFACE_112, mean=127.5, scale=1 / 127.5),
    # CosFace, SphereFace and many a MobileFaceNet divide by 128.
    "arcface-128": Recipe(ARCFACE_112, mean=127.5, scale=1 / 128),
    "arcface-112x96": Recipe(ARCFACE_112X96, mean=127.5, scale=1 / 128),
    "adaface": Recipe(ARCFACE_112, mean=127.5, scale=1 / 127.5, channels="BGR"),
    "magface": Recipe(ARCFACE_112, scale=1 / 255, channels="BGR"),
    "facenet": Recipe(FACENET_160, mean=127.5, scale=1 / 128),
    "light-cnn": Recipe(LIGHT_CNN, scale=1 / 255, channels="gray"),
    "vgg-face": Recipe(VGG_FACE_224, mean=(93.5940, 104.7624, 129.1863), channels="BGR"),
    # torchvision's normalisation by the colours of ImageNet, on ArcFace's crop.
    "imagenet": Recipe(
        ARCFACE_112,
        mean=_IMAGENET_MEAN,
        scale=tuple(1 / std for std in _IMAGENET_STD),
    ),
}
"""What networks want that are published in files that do not say it."""

PARTS = ("channels", "scaling", "crop")
"""What there is to state, or to assume."""


@dataclass(frozen=True, kw_only=True)
class StatedRecipe:
    """What a user states of a network's input; None is left as it is known or assumed.

    Attributes:
        name: key of ``RECIPES``, which states everything.
        crop: how the face is cut out.
        mean: subtracted from the pixels, 0…255.
        scale: factor applied after the mean.
        channels: key of ``CHANNELS``.

    Raises:
        UsageError: there is no such recipe or colour order, or the numbers are not as many as the
            channels.
    """

    name: str | None = None
    crop: Crop | None = None
    mean: PerChannel | None = None
    scale: PerChannel | None = None
    channels: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and self.name not in RECIPES:
            known = ", ".join(RECIPES)
            raise UsageError(f"there is no recipe {self.name!r}; known are {known}")
        if self.channels is not None and self.channels not in CHANNELS:
            raise UsageError(f"channels are {', '.join(CHANNELS)}, not {self.channels!r}")

    @classmethod
    def of(cls, recipe: Recipe) -> StatedRecipe:
        """All of a recipe."""
        return cls(crop=recipe.crop, mean=recipe.mean, scale=recipe.scale, channels=recipe.channels)

    @classmethod
    def given(cls, recipe: StatedRecipe | Recipe | str | None) -> StatedRecipe | None:
        """What a caller gave: a statement, a whole recipe, or the name of one.

        Raises:
            UsageError: there is no recipe of that name.
        """
        if isinstance(recipe, str):
            return cls(name=recipe)
        return cls.of(recipe) if isinstance(recipe, Recipe) else recipe

    def as_dict(self) -> dict[str, Any]:
        """What is stated, as plain JSON values."""
        stated = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in stated.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StatedRecipe:
        """The inverse of :meth:`as_dict`.

        Raises:
            FormatError: keys or types are not those of a recipe.
        """
        kept = dict(values)
        try:
            if "crop" in kept:
                kept["crop"] = Crop.from_dict(kept["crop"])
            for key in ("mean", "scale"):
                if isinstance(kept.get(key), list):
                    kept[key] = tuple(map(float, kept[key]))
            return cls(**kept)
        except (TypeError, ValueError) as error:
            raise FormatError(f"not a stated recipe: {error}") from error

    @property
    def parts(self) -> tuple[str, ...]:
        """Those of ``PARTS`` that are stated."""
        if self.name is not None:
            return PARTS
        stated = {
            "channels": self.channels,
            "scaling": None if self.mean is None and self.scale is None else "stated",
            "crop": self.crop,
        }
        return tuple(part for part, value in stated.items() if value is not None)

    def applied_to(self, known: Recipe | None) -> Recipe:
        """A network's recipe with what is stated in place of what was known.

        A mean without a scale leaves the scale that was known, and the other way round.

        Raises:
            UsageError: nothing was known and not everything is stated, or the numbers are not as
                many as the channels.
        """
        recipe = RECIPES[self.name] if self.name is not None else known
        if recipe is None:
            if self.crop is None or self.scale is None:
                raise UsageError(
                    "nothing is known of this network's input; state a recipe by its name "
                    f"({', '.join(RECIPES)}), or all of crop, mean and scale"
                )
            recipe = Recipe(self.crop)
        return replace(
            recipe,
            crop=recipe.crop if self.crop is None else self.crop,
            mean=recipe.mean if self.mean is None else self.mean,
            scale=recipe.scale if self.scale is None else self.scale,
            channels=recipe.channels if self.channels is None else self.channels,
        )


def parse_crop(text: str) -> Crop:
    """A crop by name (``arcface``), or as landmarks and size (``arcface:160x160``).

    Raises:
        UsageError: it is neither.
    """
    if text in CROPS:
        return CROPS[text]
    match = re.fullmatch(r"(\w+):(\d{1,4})x(\d{1,4})", text)
    if match is None or match[1] not in METHODS or "0" in (match[2], match[3]):
        raise UsageError(
            f"{text!r} is no crop; give {', '.join(CROPS)}, or LANDMARKS:WIDTHxHEIGHT with "
            f"landmarks {', '.join(METHODS)}"
        )
    detector = "hog" if METHODS[match[1]] in ("chip", "affine") else "mtcnn"
    return Crop(METHODS[match[1]], match[1], int(match[2]), int(match[3]), detector)


def parse_numbers(text: str) -> PerChannel:
    """A number or a fraction, or one for each channel: ``127.5``, ``1/255``, ``104,117,123``.

    Raises:
        UsageError: it is none.
    """
    try:
        values = tuple(_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"{text!r} is neither a number nor one for each channel, such as 1/255 or 104,117,123"
        ) from None
    return values[0] if len(values) == 1 else values


def numbers(value: PerChannel) -> str:
    """A mean or scale in words."""
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join(f"{number:g}" for number in values)


def _number(text: str) -> float:
    above, slash, below = text.partition("/")
    value = float(above) / float(below) if slash else float(above)
    if not abs(value) < 1e9:
        raise ValueError(text)
    return value
