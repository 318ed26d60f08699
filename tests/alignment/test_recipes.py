import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from facetool.alignment.crop import cut_face
from facetool.alignment.recipes import (
    ARCFACE_112,
    ARCFACE_112X96,
    DLIB_CHIP,
    FACENET_160,
    LIGHT_CNN,
    METHODS,
    Crop,
    Recipe,
    override,
)
from facetool.alignment.stated_recipe import CROPS, StatedRecipe, parse_crop
from facetool.errors import FormatError, UsageError

RECIPES = [
    Recipe(ARCFACE_112, mean=127.5, scale=1 / 128),
    Recipe(ARCFACE_112, mean=(129.0, 104.0, 93.5), channels="BGR"),
    Recipe(ARCFACE_112, scale=(1 / 255,), channels="gray"),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_dict(recipe.as_dict()) == recipe


def test_files_of_before_channels_mean_rgb() -> None:
    values = Recipe(ARCFACE_112).as_dict()
    values.pop("channels", None)
    assert Recipe.from_dict(values).channels == "RGB"


@pytest.mark.parametrize(
    "change",
    [
        {"channels": "RGBA"},
        {"channels": ["RGB"]},
        {"mean": [1, 2]},
        {"scale": None},
        {"mean": "x"},
        {"channels": "bgr"},
        {"channels": "rgb"},
        {"channels": None},
        {"scale": 0},
        {"scale": [1, 0, 1]},
        {"scale": math.nan},
        {"mean": math.inf},
        {"mean": [1, 2, None]},
        {"mean": []},
        {"channels": "gray", "mean": [1, 2, 3]},
    ],
)
def test_what_is_no_recipe_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="not a recipe"):
        Recipe.from_dict(Recipe(ARCFACE_112).as_dict() | change)
    with pytest.raises(UsageError, match="|".join(change)):
        Recipe(ARCFACE_112, **change)
    with pytest.raises(UsageError, match="|".join(change)):
        replace(Recipe(ARCFACE_112), **change)


@pytest.mark.parametrize(
    ("crop", "change"),
    [
        (ARCFACE_112, {"method": "warp"}),
        (DLIB_CHIP, {"method": "similarity"}),
        (ARCFACE_112, {"landmarks": "five"}),
        (ARCFACE_112, {"landmarks": "eyes"}),
        (ARCFACE_112, {"landmarks": ["arcface"]}),
        (ARCFACE_112, {"width": 96.0}),
        (ARCFACE_112, {"height": "112"}),
        (ARCFACE_112, {"width": 0}),
        (ARCFACE_112, {"height": -112}),
        (FACENET_160, {"margin": 160}),
        (FACENET_160, {"margin": -1}),
        (DLIB_CHIP, {"width": 100}),
        (LIGHT_CNN, {"height": 112}),
    ],
)
def test_what_is_no_crop_is_refused(crop: Crop, change: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="not a crop recipe"):
        Crop.from_dict(crop.as_dict() | change)
    with pytest.raises(FormatError, match="not a crop recipe"):
        Recipe.from_dict({**Recipe(crop).as_dict(), "crop": crop.as_dict() | change})
    with pytest.raises(UsageError, match=r"method|landmarks|width|height|margin|square"):
        replace(crop, **change)


def test_numbers_of_all_kinds_are_one_recipe() -> None:
    recipe = Recipe(ARCFACE_112, (1.0, 2.0, 3.0), 2.0)
    assert Recipe(ARCFACE_112, [1, 2, 3], np.float32(2)) == recipe  # type: ignore[arg-type]
    assert {recipe, Recipe.from_dict(recipe.as_dict())} == {recipe}
    assert StatedRecipe.of(recipe).applied_to(None) == recipe


@pytest.mark.parametrize("name", CROPS)
def test_a_crop_has_the_size_of_its_recipe(name: str) -> None:
    """Crops of one edge were cut as wide as high, whatever the recipe said."""
    crop, photo = CROPS[name], np.zeros((300, 300, 3), np.uint8)
    face = np.array([(100, 100), (180, 100), (140, 140), (110, 180), (170, 180)], float)
    points = face[[0, 4]] if crop.method == "box" else np.resize(face, (68, 2))
    if crop.method == "upright":
        points = face
    assert cut_face(photo, points, crop).shape == (crop.height, crop.width, 3)
    for landmarks, method in METHODS.items():
        if method in ("chip", "upright"):
            with pytest.raises(UsageError, match=f"crops by {landmarks} are square"):
                override(ARCFACE_112X96, landmarks)
            with pytest.raises(UsageError, match=f"crops by {landmarks} are square"):
                parse_crop(f"{landmarks}:160x100")
        assert override(ARCFACE_112X96, landmarks, 120).method == method


def test_the_input_has_as_many_channels_as_the_recipe_says() -> None:
    assert [recipe.shape for recipe in RECIPES] == [(3, 112, 112), (3, 112, 112), (1, 112, 112)]
