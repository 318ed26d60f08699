"""The detectors by name. Data only: dlib and torch are imported when a detector is built."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from facetool.detection.options import (
    DetectorOptions,
    DlibOptions,
    MapOptions,
    MtcnnOptions,
    YunetOptions,
)
from facetool.errors import UsageError
from facetool.files.dlib_files import MMOD_DETECTOR
from facetool.files.published_file import PublishedFile

if TYPE_CHECKING:
    from facetool.detection.face import Detector


@dataclass(frozen=True, kw_only=True)
class DetectorEntry:
    """A face detector that can be built by name.

    Attributes:
        name: as users write it.
        factory: class in ``facetool.detection``, as ``module:class``, called with its options, the
            paths of its weights and a device.
        options: its settings, with defaults.
        score: what its score means.
        source: where it was described.
        licence: of the detector and its weights.
        weights: its published files, all of which it needs; or where ``choice`` is set, any one of
            them, the first being the default.
        choice: whether one of ``weights`` is enough, so that a user may give another. There may be
            none: then a user has to give one.
        points: whether it gives the five points of the ArcFace recipes: eyes, nose, mouth corners.
        torch: whether it runs on PyTorch, and so on a GPU.
        detect_at: pixels of the longer side that photos are scaled down to for detection as its
            authors do; None searches them as they are.
        most_pixels: larger photos are scaled down to so many in any case, upsampling included:
            it then stays within some 1.5 GB, the photo included.
        sure: score from which a face is surely upright, which hardly one reached that was not:
            docs/detectors.md (RetinaFace: as MTCNN, for lack of weights to measure). See
            :class:`facetool.detection.search.PhotoSearch`.
    """

    name: str
    factory: str
    options: type[DetectorOptions]
    score: str
    source: str
    licence: str
    weights: tuple[PublishedFile, ...] = ()
    choice: bool = False
    points: bool = False
    torch: bool = True
    detect_at: int | None = None
    most_pixels: int = 16_000_000
    sure: float = 0.0


_MTCNN_PAGE = "https://pypi.org/project/mtcnn/"


def _mtcnn_file(name: str, size: int, sha256: str) -> PublishedFile:
    return PublishedFile(
        name=f"mtcnn.{name}",
        file=f"assets/weights/{name}.lz4",
        page=_MTCNN_PAGE,
        licence="MIT",
        package="mtcnn",
        size=size,
        sha256=sha256,
    )


_INSIGHTFACE = "non-commercial research purposes only"
_INSIGHTFACE_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"


def _scrfd_file(pack: str, pack_sha256: str, name: str, size: int, sha256: str) -> PublishedFile:
    """A detector of one of InsightFace's packs, which Immich publishes by itself as well."""
    return PublishedFile(
        name=f"scrfd.{name}",
        file=f"{name}.onnx",
        page="https://github.com/deepinsight/insightface/releases/tag/v0.7",
        licence=_INSIGHTFACE,
        urls=(f"https://huggingface.co/immich-app/{pack}/resolve/main/detection/model.onnx",),
        archive=f"{pack}.zip",
        archive_sha256=pack_sha256,
        archive_urls=(f"{_INSIGHTFACE_RELEASE}/{pack}.zip",),
        size=size,
        sha256=sha256,
    )


_YUNET_FILE = "face_detection_yunet_2023mar.onnx"

_ALL = [
    DetectorEntry(
        name="hog",
        factory="dlib:HogDetector",
        options=DlibOptions,
        score="distance from the linear SVM's border, above 0; good faces reach 1 to 3",
        source="King 2015, arXiv:1502.00046; dlib get_frontal_face_detector",
        licence="Boost Software License 1.0 (part of dlib)",
        torch=False,
        most_pixels=64_000_000,
        sure=0.8,
    ),
    DetectorEntry(
        name="cnn",
        factory="cnn:CnnDetector",
        options=DlibOptions,
        score="output of the max-margin network, above 0; good faces reach about 1",
        source="King 2015, arXiv:1502.00046; dlib dnn_mmod_face_detection_ex",
        licence="public domain",
        weights=(
            PublishedFile(
                name="cnn.v1",
                file=f"models/{MMOD_DETECTOR}",
                page="https://github.com/davisking/dlib-models",
                licence="public domain",
                package="face_recognition_models",
                size=729_940,
                md5="8d2d36a0ab9adb57f4a866252fd9f047",
                sha256="4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
            ),
        ),
        choice=True,
        most_pixels=20_000_000,
        sure=1.0,
    ),
    DetectorEntry(
        name="mtcnn",
        factory="mtcnn:MtcnnDetector",
        options=MtcnnOptions,
        score="probability of a face by O-Net, 0…1",
        source="Zhang et al. 2016, arXiv:1604.02878; package mtcnn 1.0",
        licence="MIT",
        weights=(
            _mtcnn_file(
                "pnet", 27_119, "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5"
            ),
            _mtcnn_file(
                "rnet", 401_659, "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee"
            ),
            _mtcnn_file(
                "onet",
                1_557_637,
                "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
            ),
        ),
        points=True,
        most_pixels=14_000_000,
        sure=0.999,
    ),
    DetectorEntry(
        name="scrfd",
        factory="scrfd:ScrfdDetector",
        options=MapOptions,
        score="probability of a face, 0…1",
        source="Guo et al. 2022, arXiv:2105.04714; package insightface",
        licence=_INSIGHTFACE,
        weights=(
            _scrfd_file(
                "buffalo_l",
                "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
                "det_10g",
                16_923_827,
                "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
            ),
            _scrfd_file(
                "buffalo_m",
                "d98264bd8f2dc75cbc2ddce2a14e636e02bb857b3051c234b737bf3b614edca9",
                "det_2.5g",
                3_292_009,
                "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9",
            ),
            _scrfd_file(
                "buffalo_s",
                "d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e",
                "det_500m",
                2_524_817,
                "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
            ),
        ),
        choice=True,
        points=True,
        detect_at=640,
        sure=0.83,
    ),
    DetectorEntry(
        name="retinaface",
        factory="scrfd:RetinaFaceDetector",
        options=MapOptions,
        score="probability of a face, 0…1",
        source="Deng et al. 2020, arXiv:1905.00641; package insightface",
        licence=_INSIGHTFACE,
        choice=True,
        points=True,
        detect_at=640,
        sure=0.99,
    ),
    DetectorEntry(
        name="yunet",
        factory="yunet:YunetDetector",
        options=YunetOptions,
        score="root of the probabilities of a face and of an object, 0…1",
        source="Wu, Peng, Yu 2023, Machine Intelligence Research 20; OpenCV model zoo",
        licence="MIT",
        weights=(
            PublishedFile(
                name="yunet.2023mar",
                file=_YUNET_FILE,
                page="https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet",
                licence="MIT",
                urls=(
                    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
                    + _YUNET_FILE,
                ),
                size=232_589,
                sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            ),
        ),
        choice=True,
        points=True,
        detect_at=640,
        sure=0.91,
    ),
]

DETECTORS: dict[str, DetectorEntry] = {entry.name: entry for entry in _ALL}


def detector_entry(name: str) -> DetectorEntry:
    """Look a detector up, ignoring case.

    Raises:
        UsageError: there is no such detector.
    """
    try:
        return DETECTORS[name.lower()]
    except KeyError:
        known = ", ".join(DETECTORS)
        raise UsageError(f"there is no detector {name!r}; known are {known}") from None


def build_detector(
    name: str, options: DetectorOptions | None, weights: tuple[Path, ...], device: str = "cpu"
) -> Detector:
    """Build a detector.

    Args:
        name: of a detector, case ignored.
        options: of its kind; default: its own defaults.
        weights: paths of the files its entry names, in that order.
        device: ``cpu``, ``cuda`` or ``cuda:N``; a detector without PyTorch runs on the CPU.

    Raises:
        UsageError: there is no such detector, or the options are those of another.
        WeightsError: its weights cannot be read.
    """
    entry = detector_entry(name)
    chosen = entry.options() if options is None else options
    if not isinstance(chosen, entry.options):
        raise UsageError(f"{type(chosen).__name__} do not belong to the detector {entry.name}")
    module, factory = entry.factory.split(":")
    made = getattr(import_module(f"facetool.detection.{module}"), factory)
    detector: Detector = made(chosen, weights, device)
    return detector
