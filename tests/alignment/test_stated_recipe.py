"""What users state of a network's input."""

import json

import pytest

from facetool.alignment.recipes import ARCFACE_112, OPENFACE_INNER, Crop, Recipe
from facetool.alignment.stated_recipe import (
    PARTS,
    RECIPES,
    StatedRecipe,
    parse_crop,
    parse_numbers,
)
from facetool.errors import FacetoolError, UsageError


def test_a_name_states_everything_and_numbers_go_before_it() -> None:
    stated = StatedRecipe(name="imagenet", channels="BGR")
    assert stated.parts == PARTS
    recipe = stated.applied_to(RECIPES["openface"])
    assert recipe.crop == ARCFACE_112 and recipe.channels == "BGR"
    assert recipe.mean == (123.675, 116.28, 103.53)


def test_parts_leave_the_rest_as_it_was() -> None:
    stated = StatedRecipe(mean=(1.0, 2.0, 3.0))
    assert stated.parts == ("scaling",)
    known = RECIPES["arcface"]
    assert stated.applied_to(known) == Recipe(ARCFACE_112, (1.0, 2.0, 3.0), known.scale)


def test_without_anything_known_all_must_be_stated() -> None:
    with pytest.raises(UsageError, match=r"state a recipe by its name \(dlib, .*crop, mean"):
        StatedRecipe(mean=0.0, scale=1.0).applied_to(None)
    recipe = StatedRecipe(crop=OPENFACE_INNER, scale=1 / 255).applied_to(None)
    assert recipe == RECIPES["openface-inner"]


@pytest.mark.parametrize(
    "stated", [{"name": "arcfase"}, {"channels": "rgb"}, {"mean": (1.0, 2.0)}, {"channels": "gray"}]
)
def test_what_cannot_be(stated: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"no recipe|channels"):
        StatedRecipe(**stated).applied_to(RECIPES["imagenet"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [("127.5", 127.5), ("1/255", 1 / 255), ("104,117,123", (104, 117, 123)), ("-1e2", -100)],
)
def test_numbers(text: str, value: object) -> None:
    assert parse_numbers(text) == value


@pytest.mark.parametrize("text", ["", "a", "1/0", "nan", "1,,2", "inf", "1/2/3"])
def test_no_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="neither a number nor"):
        parse_numbers(text)


def test_crops() -> None:
    assert parse_crop("openface-inner") == OPENFACE_INNER
    assert parse_crop("arcface:160x96") == Crop("similarity", "arcface", 160, 96, "mtcnn")
    for text in ("arcface:0x1", "nose:1x1", "arcface:1x1x1", "arcface:99999x1"):
        with pytest.raises(UsageError, match="is no crop"):
            parse_crop(text)


@pytest.mark.parametrize("name", RECIPES)
def test_json_and_back(name: str) -> None:
    recipe = RECIPES[name]
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe
    assert json.loads(json.dumps(recipe.as_dict())) == recipe.as_dict()
    stated = StatedRecipe.of(recipe)
    assert StatedRecipe.from_dict(json.loads(json.dumps(stated.as_dict()))) == stated
    with pytest.raises(FacetoolError):
        StatedRecipe.from_dict({**stated.as_dict(), "crop": 7})
