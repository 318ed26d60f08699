import pytest

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.errors import FormatError

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
    [{"channels": "RGBA"}, {"channels": ["RGB"]}, {"mean": [1, 2]}, {"scale": None}, {"mean": "x"}],
)
def test_what_is_no_recipe_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="not a recipe"):
        Recipe.from_dict(Recipe(ARCFACE_112).as_dict() | change)


def test_the_input_has_as_many_channels_as_the_recipe_says() -> None:
    assert [recipe.shape for recipe in RECIPES] == [(3, 112, 112), (3, 112, 112), (1, 112, 112)]
