"""Published weights as data: where they are, under which licence, how good they are said to be.

Checksums and accuracies are those their publishers state; where none is stated there is none here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from facetool.alignment import recipes
from facetool.alignment.recipes import Crop
from facetool.errors import UsageError
from facetool.files.dlib_files import FACE_RECOGNITION_RESNET, PACKAGE
from facetool.files.published_file import PublishedFile
from facetool.networks.pair_threshold import PairThreshold
from facetool.networks.registry import ARCHITECTURES, Architecture

DEFAULT = "dlib-resnet"


@dataclass(frozen=True)
class Accuracy:
    """A published verification accuracy.

    Attributes:
        data_set: such as ``LFW``.
        value: between 0 and 1.
        std: over the folds, where published.
        auc: area under the ROC curve, where published.
        source: who states it.
    """

    data_set: str
    value: float
    std: float | None = None
    auc: float | None = None
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Pretrained(PublishedFile):
    """One published weights file of a network.

    Attributes:
        architecture: registry name; the file's own name is ``ARCH.TAG``.
        options: the architecture's arguments that differ from its defaults.
        crop: where it differs from the architecture's.
        plain: the file leaves the scaling of the input out of the network, as PyTorch's do.
        dtype: of the stored numbers; only ``float32`` networks can be read.
        accuracies: as published.
        threshold: calibrated on pairs of these weights' embeddings.
    """

    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    crop: Crop | None = None
    plain: bool = False
    dtype: str = "float32"
    accuracies: tuple[Accuracy, ...] = ()
    threshold: PairThreshold | None = None

    @property
    def tag(self) -> str:
        """What follows the architecture in the name."""
        return self.name[len(self.architecture) + 1 :]

    @property
    def readable(self) -> bool:
        """Whether facetool can run it."""
        return self.dtype == "float32"


_OPENFACE_URL = "https://storage.cmusatyalab.org/openface-models/"
_OPENFACE_PAGE = "https://cmusatyalab.github.io/openface/models-and-accuracies/"
_OPENFACE_LICENCE = "Apache 2.0"
_JANUARY = {"pooling": "january2016"}

_INSIGHTFACE_PAGE = "https://github.com/deepinsight/insightface/wiki/Model-Zoo"
_INSIGHTFACE_LICENCE = "non-commercial research purposes only"

_DEPLOY_TEST = PairThreshold(1.24, "InsightFace's deploy/test.py", normalized=True)
"""What InsightFace's programs of 2018 compare two photos by; they state no false accept rate."""

_ZOO_PAGE = "https://huggingface.co/onnxmodelzoo/legacy_models"
_ZOO_FOLDER = "validated/vision/body_analysis/arcface/model/"
_ZOO_LICENCE = "Apache 2.0 (ONNX Model Zoo); InsightFace: non-commercial research purposes only"


def _zoo_urls(file: str) -> tuple[str, ...]:
    return (
        f"{_ZOO_PAGE}/resolve/main/{_ZOO_FOLDER}{file}",
        f"https://github.com/onnx/models/raw/main/{_ZOO_FOLDER}{file}",
    )


def _openface(
    name: str,
    architecture: str,
    accuracy: float,
    std: float,
    auc: float,
    threshold: PairThreshold,
    **more: Any,
) -> Pretrained:
    file = more.pop("file", f"{name}.t7")
    return Pretrained(
        name=name,
        architecture=architecture,
        file=file,
        page=_OPENFACE_PAGE,
        licence=_OPENFACE_LICENCE,
        urls=(_OPENFACE_URL + file,),
        options=_JANUARY,
        threshold=threshold,
        accuracies=(Accuracy("LFW", accuracy, std, auc, "OpenFace 0.2"),),
        **more,
    )


def _insightface(
    name: str,
    architecture: str,
    folder: str,
    archive: str,
    sha256: str,
    lfw: float,
    cfp_fp: float,
    agedb: float,
    cfp_ff: float | None = None,
) -> Pretrained:
    accuracies = {"LFW": lfw, "CFP-FF": cfp_ff, "CFP-FP": cfp_fp, "AgeDB-30": agedb}
    return Pretrained(
        name=name,
        architecture=architecture,
        file=f"{folder}/model-0000.params",
        page=_INSIGHTFACE_PAGE,
        licence=_INSIGHTFACE_LICENCE,
        archive=archive,
        archive_sha256=sha256,
        beside=(f"{folder}/model-symbol.json",),
        threshold=_DEPLOY_TEST,
        accuracies=tuple(
            Accuracy(data_set, value / 100, source="InsightFace")
            for data_set, value in accuracies.items()
            if value is not None
        ),
    )


# The median of the folds' thresholds in OpenFace's evaluation/lfw.*/accuracies.txt. That of
# nn4.small2.v1 accepts 6.2 % of the 492,266 impostor pairs among 1,000 embeddings it published.
_OPENFACE_THRESHOLDS = {
    "nn4.small2.v1": PairThreshold(0.99, "LFW, View 2, OpenFace", far=0.062, normalized=True),
    "nn4.small1.v1": PairThreshold(0.96, "LFW, View 2, OpenFace", normalized=True),
    "nn4.v2": PairThreshold(0.86, "LFW, View 2, OpenFace", normalized=True),
    "nn4.v1": PairThreshold(0.63, "LFW, View 2, OpenFace", normalized=True),
}

_ZOO_ACCURACIES = tuple(
    Accuracy(data_set, value, source="ONNX Model Zoo")
    for data_set, value in [
        ("LFW", 0.9977),
        ("CFP-FF", 0.9983),
        ("CFP-FP", 0.9421),
        ("AgeDB-30", 0.9787),
    ]
)

_ADAFACE_PAGE = "https://github.com/mk-minchul/AdaFace"
_EVOLVE_PAGE = "https://github.com/ZhaoJ9014/face.evoLVe"
_FACENET_PAGE = "https://github.com/timesler/facenet-pytorch"
_LIGHT_CNN_PAGE = "https://github.com/AlfredXiangWu/LightCNN"
_TREB1EN_PAGE = "https://github.com/TreB1eN/InsightFace_Pytorch"
_PACKS_URL = "https://github.com/deepinsight/insightface/releases/download/v0.7/"
_MIT = "MIT, as their authors' code; what they were trained on has terms of its own"


def _stated(source: str, **accuracies: float | None) -> tuple[Accuracy, ...]:
    """Accuracies by data set, whose names are written as Python's."""
    return tuple(
        Accuracy(name.replace("_", "-"), value, source=source)
        for name, value in accuracies.items()
        if value is not None
    )


def _pack(
    name: str,
    architecture: str,
    file: str,
    size: int,
    sha256: str,
    archive: str,
    archive_sha256: str,
    lfw: float,
    cfp_fp: float,
    agedb: float,
    **more: Any,
) -> Pretrained:
    """The recognition network of one of InsightFace's packs."""
    return Pretrained(
        name=name,
        architecture=architecture,
        file=file,
        page="https://github.com/deepinsight/insightface/tree/master/model_zoo",
        licence=_INSIGHTFACE_LICENCE,
        size=size,
        sha256=sha256,
        archive=archive,
        archive_sha256=archive_sha256,
        archive_urls=(_PACKS_URL + archive,),
        accuracies=_stated("InsightFace", LFW=lfw, CFP_FP=cfp_fp, AgeDB_30=agedb),
        **more,
    )


def _facenet(tag: str, date: str, data: str, lfw: float) -> Pretrained:
    file = f"{date}-{tag}.pt"
    return Pretrained(
        name=f"inception-resnet-v1.{tag}",
        architecture="inception-resnet-v1",
        file=file,
        page=_FACENET_PAGE,
        licence=_MIT,
        urls=(f"{_FACENET_PAGE}/releases/download/v2.2.9/{file}",),
        accuracies=_stated("facenet", LFW=lfw),
        notes=f"facenet's {date}, trained on {data}; its publishers state no checksum",
    )


def _adaface(depth: int, tag: str, file: str, accuracies: tuple[float, float, float]) -> Pretrained:
    lfw, cfp_fp, agedb = accuracies
    return Pretrained(
        name=f"adaface-ir-{depth}.{tag}",
        architecture=f"adaface-ir-{depth}",
        file=f"adaface_ir{depth}_{file}.ckpt",
        page=_ADAFACE_PAGE,
        licence=_MIT,
        accuracies=_stated("AdaFace", LFW=lfw, CFP_FP=cfp_fp, AgeDB_30=agedb),
        notes=_NO_LINK,
    )


_NO_LINK = "behind a link of a file-sharing service; its publishers state no checksum"


def _download_by_hand(
    name: str, architecture: str, file: str, page: str, accuracies: tuple[Accuracy, ...]
) -> Pretrained:
    return Pretrained(
        name=name,
        architecture=architecture,
        file=file,
        page=page,
        licence=_MIT,
        accuracies=accuracies,
        notes=_NO_LINK,
    )


# Of one architecture, the first is the best.
_ALL = [
    Pretrained(
        name="dlib-resnet.v1",
        architecture="dlib-resnet",
        file=f"models/{FACE_RECOGNITION_RESNET}",
        page="https://github.com/davisking/dlib-models",
        licence="public domain",
        package=PACKAGE,
        size=22_466_066,
        md5="2316b25ae80acf4ad9b620b00071c423",
        # Published is the md5. This one is read in any case, so that the other is not needed.
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        accuracies=(Accuracy("LFW", 0.993833, 0.00272732, source="dlib-models"),),
        # 33 of the 3,000 impostor pairs of LFW-a lie below dlib's published 0.6 (Euclidean).
        threshold=PairThreshold(0.36, "LFW-a, View 2", far=0.011),
    ),
    _openface(
        "nn4.small2.v1",
        "nn4.small2",
        0.9292,
        0.0134,
        0.973,
        _OPENFACE_THRESHOLDS["nn4.small2.v1"],
        md5="c95bfd8cc1adf05210e979ff623013b6",
    ),
    _openface(
        "nn4.small2.v1-pt",
        "nn4.small2",
        0.9292,
        0.0134,
        0.973,
        _OPENFACE_THRESHOLDS["nn4.small2.v1"],
        file="nn4.small2.v1.pt",
        md5="8de23b5e35e49df171175d28847c67c4",
        notes="OpenFace's own conversion of nn4.small2.v1 to PyTorch",
    ),
    _openface(
        "nn4.small1.v1",
        "nn4.small1",
        0.9210,
        0.0160,
        0.973,
        _OPENFACE_THRESHOLDS["nn4.small1.v1"],
    ),
    _openface("nn4.v2", "nn4", 0.9157, 0.0152, 0.966, _OPENFACE_THRESHOLDS["nn4.v2"]),
    _openface(
        "nn4.v1",
        "nn4",
        0.7612,
        0.0189,
        0.853,
        _OPENFACE_THRESHOLDS["nn4.v1"],
        crop=recipes.OPENFACE_INNER,
    ),
    _insightface(
        "lresnet100e-ir.ms1m-v2",
        "lresnet100e-ir",
        "model-r100-ii",
        "model-r100-arcface-ms1m-refine-v2.zip",
        "eab0e5bcca81c070f56ffb11a1c32d7b2e574a8bb94f32590e7b48b355c13d1f",
        lfw=99.77,
        cfp_fp=98.27,
        agedb=98.28,
    ),
    Pretrained(
        name="lresnet100e-ir.onnx-zoo",
        architecture="lresnet100e-ir",
        file="arcfaceresnet100-8.onnx",
        page=_ZOO_PAGE,
        licence=_ZOO_LICENCE,
        urls=_zoo_urls("arcfaceresnet100-8.onnx"),
        size=261_036_388,
        sha256="f3a6bc281e72f88862f5748b53be3d76b3b48f8f1ab1f4a537941bdc4e1b01da",
        accuracies=(*_ZOO_ACCURACIES, Accuracy("LFW", 0.9968, source="OpenVINO")),
        threshold=_DEPLOY_TEST,
    ),
    Pretrained(
        name="lresnet100e-ir.onnx-zoo-2020",
        architecture="lresnet100e-ir",
        file="arcfaceresnet100-8-spatial0.onnx",
        page=_ZOO_PAGE,
        licence=_ZOO_LICENCE,
        urls=(
            "https://media.githubusercontent.com/media/onnx/models/"
            "bb0d4cf3d4e2a5f7376c13a08d337e86296edbe8/"
            "vision/body_analysis/arcface/model/arcfaceresnet100-8.onnx",
        ),
        size=261_036_388,
        sha256="f0a2e278b430372d308fef67c1aea308c2baf37f32e8908d9bfce035c26a3fb4",
        accuracies=_ZOO_ACCURACIES,
        threshold=_DEPLOY_TEST,
        notes="arcfaceresnet100-8.onnx as it was before February 2022: the same weights, with "
        "BatchNormalization spatial=0, which ONNX Runtime refuses",
    ),
    Pretrained(
        name="lresnet100e-ir.onnx-zoo-int8",
        architecture="lresnet100e-ir",
        file="arcfaceresnet100-11-int8.onnx",
        page=_ZOO_PAGE,
        licence=_ZOO_LICENCE,
        urls=_zoo_urls("arcfaceresnet100-11-int8.onnx"),
        size=65_764_892,
        sha256="c625ca68a422418c48aa84f73341337e0a92b111f327909005d1eec07c95f936",
        dtype="int8",
        notes="quantised to 8 bits for ONNX Runtime; facetool runs float networks only",
    ),
    _pack(
        "lresnet50e-ir.w600k",
        "lresnet50e-ir",
        "w600k_r50.onnx",
        174_383_860,
        "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        "buffalo_l.zip",
        "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        lfw=0.9983,
        cfp_fp=0.9933,
        agedb=0.9823,
        options={"scale_input": False, "eps": 1e-5},
        plain=True,
        notes="trained on WebFace600K; that of the packs buffalo_l and buffalo_m",
    ),
    _insightface(
        "lresnet50e-ir.ms1m-v1",
        "lresnet50e-ir",
        "model-r50-am-lfw",
        "model-r50-arcface-ms1m-refine-v1.zip",
        "af511fc7e0f465258de1951584607e798307c7a9b2d24692e4bc6836c6eeeee7",
        lfw=99.80,
        cfp_ff=99.83,
        cfp_fp=92.74,
        agedb=97.76,
    ),
    _insightface(
        "lresnet34e-ir.ms1m-v1",
        "lresnet34e-ir",
        "model-r34-amf",
        "model-r34-arcface-ms1m-refine-v1.zip",
        "efceea8a75b9f461772173d96670cfc678bdb507e1742c5b31cd3eda9407ffbf",
        lfw=99.65,
        cfp_ff=99.77,
        cfp_fp=92.12,
        agedb=97.70,
    ),
    _insightface(
        "mobilefacenet.ms1m-v1",
        "mobilefacenet",
        "model-y1-test2",
        "model-MobileFaceNet-arcface-ms1m-refine-v1.zip",
        "1a3ffb4c930a2398f68bc45f0eb86058a514c00808176303303f0783f494c2d1",
        lfw=99.50,
        cfp_fp=88.94,
        agedb=95.91,
    ),
    _pack(
        "mbf-deep.w600k",
        "mbf-deep",
        "w600k_mbf.onnx",
        13_616_099,
        "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
        "buffalo_s.zip",
        "d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e",
        lfw=0.9970,
        cfp_fp=0.98,
        agedb=0.9658,
        notes="trained on WebFace600K; that of the packs buffalo_s and buffalo_sc",
    ),
    _facenet("vggface2", "20180402-114759", "VGGFace2", 0.9965),
    _facenet("casia-webface", "20180408-102900", "CASIA-WebFace", 0.9905),
    _adaface(101, "webface12m", "webface12m", (0.9982, 0.9926, 0.9800)),
    _adaface(101, "webface4m", "webface4m", (0.9980, 0.9917, 0.9790)),
    _adaface(101, "ms1mv3", "ms1mv3", (0.9978, 0.9891, 0.9817)),
    _adaface(101, "ms1mv2", "ms1mv2", (0.9982, 0.9849, 0.9805)),
    _adaface(50, "webface4m", "webface4m", (0.9978, 0.9897, 0.9778)),
    _adaface(50, "ms1mv2", "ms1mv2", (0.9982, 0.9786, 0.9785)),
    _adaface(50, "casia-webface", "casia", (0.9942, 0.9641, 0.9438)),
    _adaface(18, "webface4m", "webface4m", (0.9953, 0.9726, 0.9647)),
    _adaface(18, "vggface2", "vgg2", (0.9947, 0.9713, 0.9407)),
    _adaface(18, "casia-webface", "casia", (0.9913, 0.9259, 0.9272)),
    _download_by_hand(
        "ir-101.curricularface",
        "ir-101",
        "CurricularFace_Backbone.pth",
        "https://github.com/HuangYG123/CurricularFace",
        _stated("CurricularFace", LFW=0.9980, CFP_FP=0.9836, AgeDB_30=0.9837),
    ),
    _download_by_hand(
        "ir-152.evolve",
        "ir-152",
        "Backbone_IR_152_Epoch_112_Batch_2547328_Time_2019-07-13-02-59_checkpoint.pth",
        _EVOLVE_PAGE,
        _stated("face.evoLVe", LFW=0.9982, CFP_FF=0.9983, CFP_FP=0.9837, AgeDB_30=0.9807),
    ),
    _download_by_hand(
        "ir-50.evolve",
        "ir-50",
        "backbone_ir50_ms1m_epoch120.pth",
        _EVOLVE_PAGE,
        _stated("face.evoLVe", LFW=0.9978, CFP_FF=0.9969, CFP_FP=0.9814, AgeDB_30=0.9753),
    ),
    _download_by_hand(
        "ir-se-50.treb1en",
        "ir-se-50",
        "model_ir_se50.pth",
        _TREB1EN_PAGE,
        _stated("InsightFace_Pytorch", LFW=0.9952, CFP_FF=0.9962, CFP_FP=0.9504, AgeDB_30=0.9622),
    ),
    _download_by_hand(
        "mobilefacenet-pytorch.treb1en",
        "mobilefacenet-pytorch",
        "model_mobilefacenet.pth",
        _TREB1EN_PAGE,
        _stated("InsightFace_Pytorch", LFW=0.9918, CFP_FF=0.9891, CFP_FP=0.8986, AgeDB_30=0.9347),
    ),
    # 1 minus the equal error rate is what Light CNN's authors state.
    _download_by_hand(
        "lightcnn-29v2.msceleb",
        "lightcnn-29v2",
        "LightCNN_29Layers_V2_checkpoint.pth.tar",
        _LIGHT_CNN_PAGE,
        _stated("Light CNN, 1 - EER", LFW=0.9943),
    ),
    _download_by_hand(
        "lightcnn-29.msceleb",
        "lightcnn-29",
        "LightCNN_29Layers_checkpoint.pth.tar",
        _LIGHT_CNN_PAGE,
        _stated("Light CNN, 1 - EER", LFW=0.9940),
    ),
    _download_by_hand(
        "lightcnn-9.msceleb",
        "lightcnn-9",
        "LightCNN_9Layers_checkpoint.pth.tar",
        _LIGHT_CNN_PAGE,
        _stated("Light CNN, 1 - EER", LFW=0.9870),
    ),
    Pretrained(
        name="vgg-face.v1",
        architecture="vgg-face",
        file="VGG_FACE.t7",
        page="https://www.robots.ox.ac.uk/~vgg/software/vgg_face/",
        licence="non-commercial research purposes; see its page",
        accuracies=_stated("Parkhi et al. 2015", LFW=0.9895),
        notes="in vgg_face_torch.tar.gz on its page; the accuracy is that of their embedding, "
        "which is not in the file",
    ),
]

CATALOGUE: dict[str, Pretrained] = {entry.name: entry for entry in _ALL}


def of_architecture(name: str) -> list[Pretrained]:
    """The published weights of an architecture, best first."""
    return [entry for entry in CATALOGUE.values() if entry.architecture == name]


def crop_of(name: str) -> Crop:
    """How faces are cut out for a network or its weights, by name.

    Raises:
        UsageError: there is nothing of that name.
    """
    entry = resolve(name)
    if isinstance(entry, Architecture):
        return entry.recipe.crop
    return entry.crop or ARCHITECTURES[entry.architecture].recipe.crop


def names() -> list[str]:
    """Everything :func:`resolve` knows: architectures, each followed by its weights."""
    return [
        name
        for architecture in ARCHITECTURES
        for name in (architecture, *[entry.name for entry in of_architecture(architecture)])
    ]


ALIASES = {"face-recognition-resnet100-arcface-onnx": "lresnet100e-ir.onnx-zoo"}
"""Names that others give to published weights: Open Model Zoo's."""


def resolve(name: str) -> Pretrained | Architecture:
    """What ``ARCH[.TAG]`` names, case ignored.

    Architectures have dots of their own (``nn4.small2``), so whole names are compared.

    Raises:
        UsageError: there is nothing of that name; the message says what comes near.
    """
    wanted = ALIASES.get(name.lower(), name.lower())
    if wanted in CATALOGUE:
        return CATALOGUE[wanted]
    if wanted in ARCHITECTURES:
        return ARCHITECTURES[wanted]
    stem = max((a for a in ARCHITECTURES if wanted.startswith(f"{a}.")), key=len, default="")
    near = [entry.name for entry in of_architecture(stem)] or get_close_matches(wanted, names())
    hint = f"did you mean {', '.join(near)}?" if near else "facetool models list shows all"
    raise UsageError(f"there is no network {name!r}; {hint}")
