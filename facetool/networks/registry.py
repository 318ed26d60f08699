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
        plain_recipe: the same where the scaling is left out of the network, as in PyTorch's
            versions of those that have it inside.
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
    plain_recipe: Recipe | None = None
    paper: str = ""


_DLIB = Recipe(recipes.DLIB_CHIP)
_OPENFACE = Recipe(recipes.OPENFACE_OUTER, scale=1 / 255)
_ARCFACE = Recipe(recipes.ARCFACE_112)  # these networks scale their input themselves
_ARCFACE_TORCH = Recipe(recipes.ARCFACE_112, mean=127.5, scale=1 / 127.5)
_ADAFACE = replace(_ARCFACE_TORCH, channels="BGR")
_LIGHT_CNN = Recipe(recipes.LIGHT_CNN, scale=1 / 255, channels="gray")
# The Torch file takes blue first. The mean of its authors' training set is 129.1863 for red.
_VGG_FACE = Recipe(recipes.VGG_FACE_224, mean=(93.5940, 104.7624, 129.1863), channels="BGR")

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

# Units per stage of the IR networks, by depth; parameters as they are, with squeeze and excitation,
# and with AdaFace's batch normalisation inside each unit.
_IR_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 101: (3, 13, 30, 3)}
_IR_UNITS |= {152: (3, 8, 36, 3)}
_ADAFACE_PAPER = "Kim et al. 2022, AdaFace, arXiv:2204.00964"
_IR = {50: 43_574_976, 101: 65_129_792, 152: 70_737_600}
_IR_SE = {50: 43_797_696, 101: 65_502_016, 152: 71_148_736}
_ADAFACE_IR = {18: 24_021_376, 34: 34_135_104, 50: 43_586_624, 101: 65_151_936}
_ADAFACE_IR_SE = {50: 43_809_344, 101: 65_524_160}
# Its deepest ones have bottlenecks; with squeeze and excitation or without.
_ADAFACE_DEEP_UNITS = {152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
_ADAFACE_DEEP = {
    False: {152: 109_637_760, 200: 114_139_264},
    True: {152: 116_215_936, 200: 121_241_728},
}
_VISION_TRANSFORMERS = {
    "t": (256, 12, 19_137_536),
    "s": (512, 12, 76_022_784),
    "b": (512, 24, 113_832_960),
    "l": (768, 24, 255_683_584),
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
            plain_recipe=_ARCFACE_TORCH,
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
    *(
        Architecture(
            f"{family}-{depth}",
            "ir_se:IRNet",
            parameters,
            recipe,
            {"units": _IR_UNITS[depth], "inner_bn": inner_bn, "se": se},
            paper=paper,
        )
        for family, depths, recipe, inner_bn, se, paper in (
            ("ir", _IR, _ARCFACE_TORCH, False, False, "Deng et al. 2019, ArcFace"),
            ("ir-se", _IR_SE, _ARCFACE_TORCH, False, True, "Deng et al. 2019, ArcFace"),
            ("adaface-ir", _ADAFACE_IR, _ADAFACE, True, False, _ADAFACE_PAPER),
            ("adaface-ir-se", _ADAFACE_IR_SE, _ADAFACE, True, True, _ADAFACE_PAPER),
        )
        for depth, parameters in depths.items()
    ),
    *(
        Architecture(
            f"adaface-ir-se-{depth}" if se else f"adaface-ir-{depth}",
            "ir_se:IRNet",
            parameters,
            _ADAFACE,
            {
                "units": _ADAFACE_DEEP_UNITS[depth],
                "inner_bn": True,
                "se": se,
                "bottleneck": True,
            },
            paper=_ADAFACE_PAPER,
        )
        for se, depths in _ADAFACE_DEEP.items()
        for depth, parameters in depths.items()
    ),
    Architecture(
        "mobilefacenet-pytorch",
        "mobilefacenet:mobilefacenet_pytorch",
        1_200_512,
        _ARCFACE_TORCH,
        paper="Chen et al. 2018, MobileFaceNets",
    ),
    Architecture(
        "mbf",
        "mobilefacenet:mobilefacenet_pytorch",
        2_059_520,
        _ARCFACE_TORCH,
        {"width": 2},
        paper="Chen et al. 2018, MobileFaceNets",
    ),
    Architecture(
        "mbf-deep",  # arcface_torch's mbf of 2021, which InsightFace's packs have
        "mobilefacenet:mobilefacenet_pytorch",
        3_349_888,
        _ARCFACE_TORCH,
        {"width": 2, "blocks": (2, 8, 12, 4)},
        paper="Chen et al. 2018, MobileFaceNets",
    ),
    Architecture(
        "mbf-large",
        "mobilefacenet:mobilefacenet_pytorch",
        6_314_880,
        _ARCFACE_TORCH,
        {"width": 4, "blocks": (2, 8, 12, 4)},
        paper="Chen et al. 2018, MobileFaceNets",
    ),
    *(
        Architecture(
            f"vit-{size}",
            "vision_transformer:VisionTransformer",
            parameters,
            _ARCFACE_TORCH,
            {"width": width, "blocks": (depth,)},
            paper="Dosovitskiy et al. 2021, arXiv:2010.11929; An et al. 2022, Partial FC",
        )
        for size, (width, depth, parameters) in _VISION_TRANSFORMERS.items()
    ),
    Architecture(
        "inception-resnet-v1",
        "inception_resnet_v1:InceptionResNetV1",
        23_482_624,
        Recipe(recipes.FACENET_160, mean=127.5, scale=1 / 128),
        paper="Szegedy et al. 2016, arXiv:1602.07261; Schroff et al. 2015, FaceNet",
    ),
    *(
        Architecture(
            f"lightcnn-{name}",
            f"light_cnn:{factory}",
            parameters,
            _LIGHT_CNN,
            options,
            paper="Wu et al. 2018, A Light CNN for Deep Face Representation, arXiv:1511.02683",
        )
        for name, factory, parameters, options in (
            ("9", "LightCNN9", 5_480_864, {}),
            ("29", "LightCNN29", 12_573_280, {}),
            ("29v2", "LightCNN29", 10_475_872, {"second": True}),
        )
    ),
    Architecture(
        "vgg-face",
        "vgg_face:VggFace",
        134_260_544,
        _VGG_FACE,
        paper="Parkhi et al. 2015, Deep Face Recognition",
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
