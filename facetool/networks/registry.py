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
_ARCFACE = Recipe(recipes.ARCFACE_112)  # InsightFace's networks scale their input themselves

_ALL = [
    Architecture(
        "dlib-resnet",
        "dlib_resnet:dlib_resnet",
        _DLIB,
        paper="King 2017, dlib dnn_face_recognition_ex",
    ),
    Architecture(
        "lmobilenete",
        "mobilenet:LMobileNetE",
        _ARCFACE,
        paper="Howard et al. 2017, arXiv:1704.04861",
    ),
    Architecture(
        "ldensenet121e",
        "densenet:LDenseNetE",
        _ARCFACE,
        {"units": (6, 12, 24, 16), "growth": 32},
        paper="Huang et al. 2017, arXiv:1608.06993",
    ),
    Architecture(
        "ldensenet161e",
        "densenet:LDenseNetE",
        _ARCFACE,
        {"units": (6, 12, 36, 24), "growth": 48},
        paper="Huang et al. 2017, arXiv:1608.06993",
    ),
    Architecture(
        "ldensenet169e",
        "densenet:LDenseNetE",
        _ARCFACE,
        {"units": (6, 12, 32, 32), "growth": 32},
        paper="Huang et al. 2017, arXiv:1608.06993",
    ),
    Architecture(
        "ldensenet201e",
        "densenet:LDenseNetE",
        _ARCFACE,
        {"units": (6, 12, 48, 32), "growth": 32},
        paper="Huang et al. 2017, arXiv:1608.06993",
    ),
    Architecture(
        "ldpn68e",
        "dpn:LDPNE",
        _ARCFACE,
        {"units": (3, 4, 12, 3), "increments": (16, 32, 32, 64), "bottleneck": 128, "groups": 32},
        paper="Chen et al. 2017, arXiv:1707.01629",
    ),
    Architecture(
        "ldpn92e",
        "dpn:LDPNE",
        _ARCFACE,
        {"units": (3, 4, 20, 3), "increments": (16, 32, 24, 128), "bottleneck": 96, "groups": 32},
        paper="Chen et al. 2017, arXiv:1707.01629",
    ),
    Architecture(
        "ldpn107e",
        "dpn:LDPNE",
        _ARCFACE,
        {"units": (4, 8, 20, 3), "increments": (20, 64, 64, 128), "bottleneck": 200, "groups": 50},
        paper="Chen et al. 2017, arXiv:1707.01629",
    ),
    Architecture(
        "ldpn131e",
        "dpn:LDPNE",
        _ARCFACE,
        {"units": (4, 8, 28, 3), "increments": (16, 32, 32, 128), "bottleneck": 160, "groups": 40},
        paper="Chen et al. 2017, arXiv:1707.01629",
    ),
    Architecture(
        "linceptionresnetv2e",
        "inception_resnet:LInceptionResNetV2E",
        _ARCFACE,
        paper="Szegedy et al. 2016, arXiv:1602.07261",
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
