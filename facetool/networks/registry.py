"""The networks by name. Data only: torch is imported when a network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from facetool.alignment import recipes
from facetool.alignment.recipes import Recipe
from facetool.errors import FormatError, UsageError

if TYPE_CHECKING:
    from facetool.networks.base import EmbeddingNetwork


@dataclass(frozen=True)
class Architecture:
    """A network that can be built by name.

    Attributes:
        name: as users write it, lower case.
        factory: function in ``facetool.networks``, as ``module:function``.
        parameters: how many numbers it learns, by which files are recognised.
        recipe: the crop and input scaling the originals used.
        options: keyword arguments for the factory.
        unit_length: whether embeddings are scaled to unit length before they are compared.
        paper: where it was described.
    """

    name: str
    factory: str
    parameters: int
    recipe: Recipe
    options: Mapping[str, Any] = field(default_factory=dict)
    unit_length: bool = True
    paper: str = ""


_DLIB = Recipe(recipes.DLIB_CHIP)
_OPENFACE = Recipe(recipes.OPENFACE_OUTER, scale=1 / 255)
_ARCFACE = Recipe(recipes.ARCFACE_112)  # these networks scale their input themselves

# Residual units per stage (from InsightFace's fresnet.py) and parameters, by depth; the published
# depths first.
_LRESNETS: dict[int, tuple[tuple[int, int, int, int], int]] = {
    18: ((2, 2, 2, 2), 24_025_600),
    34: ((3, 4, 6, 3), 34_139_328),
    50: ((3, 4, 14, 3), 43_590_848),
    100: ((3, 13, 30, 3), 65_156_160),
    49: ((3, 4, 14, 3), 43_590_848),
    74: ((3, 6, 24, 3), 55_996_864),
    90: ((3, 8, 30, 3), 63_677_120),
    98: ((3, 4, 38, 3), 71_945_408),
    99: ((3, 8, 35, 3), 69_584_320),
    101: ((3, 4, 23, 3), 54_223_808),
    124: ((3, 13, 40, 5), 86_414_912),
    134: ((3, 10, 50, 3), 87_897_536),
    136: ((3, 13, 48, 3), 86_422_080),
    140: ((3, 15, 48, 3), 87_013_696),
    152: ((3, 8, 36, 3), 70_765_760),
    160: ((3, 24, 49, 3), 90_857_408),
    200: ((3, 24, 36, 3), 75_498_688),
    269: ((3, 30, 48, 8), 115_061_696),
}

_ALL = [
    Architecture(
        "dlib-resnet",
        "dlib_resnet:dlib_resnet",
        5_611_040,
        _DLIB,
        unit_length=False,  # dlib compares embeddings as they are
        paper="King 2017, dlib dnn_face_recognition_ex",
    ),
    *(
        Architecture(
            name,
            "openface:OpenFace",
            parameters,
            Recipe(recipes.OPENFACE_224, scale=1 / 255) if name == "nn2" else _OPENFACE,
            {"variant": name},
            paper="Schroff et al. 2015, FaceNet; Amos et al. 2016, OpenFace",
        )
        for name, parameters in (
            ("nn4.small2", 3_733_968),
            ("nn4.small1", 5_579_520),
            ("nn4", 6_959_088),
            ("nn2", 7_472_144),
        )
    ),
    *(
        Architecture(
            f"lresnet{depth}e-ir",
            "lresnet:LResNet",
            parameters,
            _ARCFACE,
            {"units": units},
            paper="Deng et al. 2019, ArcFace",
        )
        for depth, (units, parameters) in _LRESNETS.items()
    ),
    Architecture(
        "mobilefacenet",
        "mobilefacenet:mobilefacenet",
        1_003_264,
        _ARCFACE,
        paper="Chen et al. 2018, MobileFaceNets",
    ),
    Architecture(
        "mobilefacenet-112x96",
        "mobilefacenet:mobilefacenet_112x96",
        999_552,
        Recipe(recipes.ARCFACE_112X96, mean=127.5, scale=1 / 128),
        paper="Chen et al. 2018, MobileFaceNets",
    ),
    Architecture(
        "lmobilenete",
        "mobilenet:LMobileNetE",
        28_911_616,
        _ARCFACE,
        paper="Howard et al. 2017, arXiv:1704.04861",
    ),
    Architecture(
        "ldensenet121e",
        "densenet:LDenseNetE",
        32_716_288,
        _ARCFACE,
        {"units": (6, 12, 24, 16), "growth": 32},
        paper="Huang et al. 2017, arXiv:1608.06993",
    ),
    Architecture(
        "ldensenet161e",
        "densenet:LDenseNetE",
        81_890_400,
        _ARCFACE,
        {"units": (6, 12, 36, 24), "growth": 48},
        paper="Huang et al. 2017, arXiv:1608.06993",
    ),
    Architecture(
        "ldensenet169e",
        "densenet:LDenseNetE",
        54_303_232,
        _ARCFACE,
        {"units": (6, 12, 32, 32), "growth": 32},
        paper="Huang et al. 2017, arXiv:1608.06993",
    ),
    Architecture(
        "ldensenet201e",
        "densenet:LDenseNetE",
        66_334_208,
        _ARCFACE,
        {"units": (6, 12, 48, 32), "growth": 32},
        paper="Huang et al. 2017, arXiv:1608.06993",
    ),
    Architecture(
        "ldpn68e",
        "dpn:LDPNE",
        93_661_152,
        _ARCFACE,
        {"units": (3, 4, 12, 3), "increments": (16, 32, 32, 64), "bottleneck": 128, "groups": 32},
        paper="Chen et al. 2017, arXiv:1707.01629",
    ),
    Architecture(
        "ldpn92e",
        "dpn:LDPNE",
        102_488_256,
        _ARCFACE,
        {"units": (3, 4, 20, 3), "increments": (16, 32, 24, 128), "bottleneck": 96, "groups": 32},
        paper="Chen et al. 2017, arXiv:1707.01629",
    ),
    Architecture(
        "ldpn107e",
        "dpn:LDPNE",
        151_696_128,
        _ARCFACE,
        {"units": (4, 8, 20, 3), "increments": (20, 64, 64, 128), "bottleneck": 200, "groups": 50},
        paper="Chen et al. 2017, arXiv:1707.01629",
    ),
    Architecture(
        "ldpn131e",
        "dpn:LDPNE",
        144_035_904,
        _ARCFACE,
        {"units": (4, 8, 28, 3), "increments": (16, 32, 32, 128), "bottleneck": 160, "groups": 40},
        paper="Chen et al. 2017, arXiv:1707.01629",
    ),
    Architecture(
        "linceptionresnetv2e",
        "inception_resnet:LInceptionResNetV2E",
        167_723_292,
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


def stated_unit_length(description: Mapping[str, Any]) -> bool:
    """Whether a network's embeddings are scaled to unit length, by the description in its file.

    facetool 0.1 did not write it down; there the architecture says it.

    Raises:
        FormatError: it is neither true nor false.
    """
    stated = description.get("unit_length")
    if stated is None:
        known = ARCHITECTURES.get(str(description.get("architecture")))
        return known is None or known.unit_length
    if not isinstance(stated, bool):
        raise FormatError("the description has no proper 'unit_length'")
    return stated


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
    network.info = replace(
        network.info,
        architecture=entry.name,
        options=chosen,
        recipe=entry.recipe,
        unit_length=entry.unit_length,
    )
    return network
