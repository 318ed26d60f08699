"""What facetool writes into files of other formats about the network in them."""

from __future__ import annotations

from typing import Any, NamedTuple

from facetool.alignment.recipes import Recipe
from facetool.alignment.stated_recipe import PARTS
from facetool.errors import FormatError, WeightsError
from facetool.files.json_file import parse_json
from facetool.networks.base import CUSTOM
from facetool.networks.pair_threshold import PairThreshold
from facetool.networks.registry import ARCHITECTURES, stated_unit_length
from facetool.weights.readers.recognize import POOLINGS


class Stated(NamedTuple):
    """What a description says of a network that its layers do not."""

    recipe: Recipe
    unit_length: bool
    assumed: tuple[str, ...]
    threshold: PairThreshold | None
    weights_name: str
    architecture: str
    variant: str


def read_description(text: str) -> tuple[Stated, dict[str, Any]]:
    """What a description says: what every one does, and all of it as JSON values.

    Raises:
        WeightsError: it is damaged.
    """
    try:
        description = parse_json(text, "its metadata")
        threshold = description.get("threshold")
        assumed = description.get("assumed") or ()
        stated = Stated(
            Recipe.from_dict(description["recipe"]),
            stated_unit_length(description),
            tuple(part for part in PARTS if part in assumed),
            threshold and PairThreshold.from_dict(threshold),
            str(description.get("weights", "")),
            *_known_architecture(description),
        )
    except (FormatError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise WeightsError(f"its metadata hold no recipe: {error}") from None
    return stated, description


def _known_architecture(description: dict[str, Any]) -> tuple[str, str]:
    """Name and variant: steps of a network may be exported as layers that it does not have."""
    name, variant = description.get("architecture"), description.get("variant")
    if name not in ARCHITECTURES or variant not in ("", *POOLINGS):
        return CUSTOM, ""
    return str(name), str(variant)
