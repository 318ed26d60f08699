"""What users state of a network's input."""

import json

import numpy as np
import pytest
import torch

from facetool.alignment.recipes import (
    ARCFACE_112,
    FACENET_160,
    OPENFACE_INNER,
    VGG_FACE_224,
    Crop,
    Recipe,
)
from facetool.alignment.stated_recipe import (
    PARTS,
    RECIPES,
    StatedRecipe,
    parse_crop,
    parse_numbers,
)
from facetool.errors import FacetoolError, UsageError
from facetool.networks.inputs import to_input

VGG_AVERAGE = np.array([129.1863, 104.7624, 93.5940])  # R, G, B, in VGG Face's own code
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
NEARLY_ONE = 127.5 / 128
PUBLISHED = {
    "dlib": (0, 255),
    "openface": (0, 1),
    "openface-inner": (0, 1),
    "openface-224": (0, 1),
    "arcface-inside": (0, 255),
    "arcface": (-1, 1),
    "arcface-128": (-NEARLY_ONE, NEARLY_ONE),
    "arcface-112x96": (-NEARLY_ONE, NEARLY_ONE),
    "adaface": (-1, 1),
    "magface": (0, 1),
    "facenet": (-NEARLY_ONE, NEARLY_ONE),
    "light-cnn": (0, 1),
    "vgg-face": (-VGG_AVERAGE, 255 - VGG_AVERAGE),
    "imagenet": (-IMAGENET_MEAN / IMAGENET_STD, (1 - IMAGENET_MEAN) / IMAGENET_STD),
}
"""What the authors' code makes of a black and of a white pixel; R, G, B where they differ."""


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


@pytest.mark.parametrize("name", RECIPES)
def test_black_white_and_red_become_the_values_that_were_published(name: str) -> None:
    recipe = RECIPES[name]
    black, white = (np.broadcast_to(np.asarray(v, float), 3) for v in PUBLISHED[name])
    red = np.array([white[0], black[1], black[2]])
    if recipe.channels == "gray":
        black, white, red = black[:1], white[:1], np.array([76 / 255])  # 0.299 of 255 is 76.2
    expected = np.stack([black, white, red])
    if recipe.channels == "BGR":
        expected = expected[:, ::-1]
    pixels = np.array([(0, 0, 0), (255, 255, 255), (255, 0, 0)], np.uint8)
    found = to_input(torch.from_numpy(pixels).reshape(3, 1, 1, 3), recipe)[:, :, 0, 0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("crop", "wider"), [(VGG_FACE_224, 1.3), (FACENET_160, 160 / 146)], ids=["vgg-face", "facenet"]
)
def test_a_box_grows_by_as_much_as_in_training(crop: Crop, wider: float) -> None:
    assert crop.width / (crop.width - crop.margin) == pytest.approx(wider, abs=0.003)
