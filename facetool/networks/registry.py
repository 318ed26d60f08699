"""The networks by name. Data only: torch is imported when a network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from facetool.alignment import recipes
from facetool.alignment.recipes import Recipe
from facetool.errors import UsageError

if TYPE_CHECKING:
    from facetool.networks.base import EmbeddingNetwork


@dataclass(frozen=True)
class Architecture:
    """A network that can be built by name.

    Attributes:
        name: as users write it, lower case.
        factory: function in ``facetool.networks``, as ``module:function``.
        recipe: the crop and input scaling the originals used.
        options: keyword arguments for the factory.
        paper: where it was described.
    """

    name: str
    factory: str
    recipe: Recipe
    options: Mapping[str, Any] = field(default_factory=dict)
    paper: str = ""


_DLIB = Recipe(recipes.DLIB_CHIP)

_ALL = [
    Architecture(
        "dlib-resnet",
        "dlib_resnet:dlib_resnet",
        _DLIB,
        paper="King 2017, dlib dnn_face_recognition_ex",
    ),
]

ARCHITECTURES: dict[str, Architecture] = {entry.name: entry for entry in _ALL}


def architecture(name: str) -> Architecture:
    """Look an architecture up, ignoring case.

    Raises:
        UsageError: there is no such network.
    """
    try:
        return ARCHITECTURES[name.lower()]
    except KeyError:
        known = ", ".join(ARCHITECTURES)
        raise UsageError(f"there is no network {name!r}; known are {known}") from None


def create(name: str, **options: Any) -> EmbeddingNetwork:
    """Build a network with freshly initialised weights, as its authors initialised it.

    Args:
        name: registry name, case ignored.
        options: change the factory's arguments, e.g. ``embedding_size=256``.

    Raises:
        UsageError: there is no such network.
    """
    entry = architecture(name)
    module, function = entry.factory.split(":")
    chosen = {**entry.options, **options}
    network: EmbeddingNetwork = getattr(import_module(f"facetool.networks.{module}"), function)(
        **chosen
    )
    network.architecture = entry.name
    network.options = dict(chosen)
    network.recipe = entry.recipe
    return network
