"""facetool: face recognition with the original networks, as a library and a command line.

What stands in ``__all__`` is the library; docs/python.md shows it. Everything else is private and
may move without notice. Names are imported on first use, so that
``import facetool`` takes no time and loads neither torch nor dlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from facetool._version import __version__
from facetool.errors import (
    FacetoolError,
    FormatError,
    ImageError,
    OutputError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    from facetool.alignment.recipes import Crop, Recipe
    from facetool.alignment.stated_recipe import StatedRecipe
    from facetool.classification.classifier import Classifier
    from facetool.classification.classifier_file import load_classifier
    from facetool.cropping.detectors import create_detector, detect
    from facetool.cropping.face_cropper import FaceCrop, FaceCropper
    from facetool.detection.face import Box, Face
    from facetool.detection.options import (
        DetectionSettings,
        DlibOptions,
        MapOptions,
        MtcnnOptions,
        YunetOptions,
    )
    from facetool.embedding.embedder import Embedder
    from facetool.files.embeddings import Embeddings, read_embeddings
    from facetool.images.read import read_image
    from facetool.jobs.progress import Progress, ProgressBar, follow
    from facetool.jobs.report import Report
    from facetool.networks.base import EmbeddingNetwork
    from facetool.networks.devices import resolve_device
    from facetool.pipeline.align import AlignSettings, align
    from facetool.pipeline.bin_eval import BinEvalResult, bin_eval
    from facetool.pipeline.classify_evaluate import EvaluationResult, evaluate_classifier
    from facetool.pipeline.classify_infer import InferSettings, NamedFace, NamedPhoto, name_people
    from facetool.pipeline.classify_train import (
        ClassifierSettings,
        TrainingResult,
        train_classifier,
    )
    from facetool.pipeline.cluster import Clustering, cluster
    from facetool.pipeline.compare import (
        Comparison,
        ComparisonResult,
        PhotoFace,
        compare,
        known_threshold,
    )
    from facetool.pipeline.duplicates import DuplicatesResult, find_duplicates
    from facetool.pipeline.embed import EmbedSettings, embed
    from facetool.pipeline.identify import IdentifyResult, identify
    from facetool.pipeline.lfw_eval import LfwResult, lfw_eval
    from facetool.pipeline.merge import merge
    from facetool.pipeline.outliers import Outlier, OutliersResult, outliers
    from facetool.pipeline.records import pack_pairs
    from facetool.pipeline.represent import RepresentSettings, represent
    from facetool.pipeline.search import Match, SearchResult, SearchSettings, search
    from facetool.pipeline.train import TrainSettings, train
    from facetool.training.config import TrainConfig
    from facetool.weights.load import load_network

_PLACES = {
    "AlignSettings": "pipeline.align",
    "BinEvalResult": "pipeline.bin_eval",
    "Box": "detection.face",
    "Classifier": "classification.classifier",
    "ClassifierSettings": "pipeline.classify_train",
    "Clustering": "pipeline.cluster",
    "Comparison": "pipeline.compare",
    "ComparisonResult": "pipeline.compare",
    "Crop": "alignment.recipes",
    "DetectionSettings": "detection.options",
    "DlibOptions": "detection.options",
    "DuplicatesResult": "pipeline.duplicates",
    "EmbedSettings": "pipeline.embed",
    "Embedder": "embedding.embedder",
    "EmbeddingNetwork": "networks.base",
    "Embeddings": "files.embeddings",
    "EvaluationResult": "pipeline.classify_evaluate",
    "Face": "detection.face",
    "FaceCrop": "cropping.face_cropper",
    "FaceCropper": "cropping.face_cropper",
    "IdentifyResult": "pipeline.identify",
    "InferSettings": "pipeline.classify_infer",
    "LfwResult": "pipeline.lfw_eval",
    "MapOptions": "detection.options",
    "Match": "pipeline.search",
    "MtcnnOptions": "detection.options",
    "NamedFace": "pipeline.classify_infer",
    "NamedPhoto": "pipeline.classify_infer",
    "Outlier": "pipeline.outliers",
    "OutliersResult": "pipeline.outliers",
    "PhotoFace": "pipeline.compare",
    "Progress": "jobs.progress",
    "ProgressBar": "jobs.progress",
    "Recipe": "alignment.recipes",
    "Report": "jobs.report",
    "RepresentSettings": "pipeline.represent",
    "SearchResult": "pipeline.search",
    "SearchSettings": "pipeline.search",
    "StatedRecipe": "alignment.stated_recipe",
    "TrainConfig": "training.config",
    "TrainSettings": "pipeline.train",
    "TrainingResult": "pipeline.classify_train",
    "YunetOptions": "detection.options",
    "align": "pipeline.align",
    "bin_eval": "pipeline.bin_eval",
    "cluster": "pipeline.cluster",
    "compare": "pipeline.compare",
    "create_detector": "cropping.detectors",
    "detect": "cropping.detectors",
    "embed": "pipeline.embed",
    "evaluate_classifier": "pipeline.classify_evaluate",
    "find_duplicates": "pipeline.duplicates",
    "follow": "jobs.progress",
    "identify": "pipeline.identify",
    "known_threshold": "pipeline.compare",
    "lfw_eval": "pipeline.lfw_eval",
    "load_classifier": "classification.classifier_file",
    "load_network": "weights.load",
    "merge": "pipeline.merge",
    "name_people": "pipeline.classify_infer",
    "outliers": "pipeline.outliers",
    "pack_pairs": "pipeline.records",
    "read_embeddings": "files.embeddings",
    "read_image": "images.read",
    "represent": "pipeline.represent",
    "resolve_device": "networks.devices",
    "search": "pipeline.search",
    "train": "pipeline.train",
    "train_classifier": "pipeline.classify_train",
}
"""Name to the module that has it."""

__all__ = [
    "AlignSettings",
    "BinEvalResult",
    "Box",
    "Classifier",
    "ClassifierSettings",
    "Clustering",
    "Comparison",
    "ComparisonResult",
    "Crop",
    "DetectionSettings",
    "DlibOptions",
    "DuplicatesResult",
    "EmbedSettings",
    "Embedder",
    "EmbeddingNetwork",
    "Embeddings",
    "EvaluationResult",
    "Face",
    "FaceCrop",
    "FaceCropper",
    "FacetoolError",
    "FormatError",
    "IdentifyResult",
    "ImageError",
    "InferSettings",
    "LfwResult",
    "MapOptions",
    "Match",
    "MtcnnOptions",
    "NamedFace",
    "NamedPhoto",
    "Outlier",
    "OutliersResult",
    "OutputError",
    "PhotoFace",
    "Progress",
    "ProgressBar",
    "Recipe",
    "Report",
    "RepresentSettings",
    "SearchResult",
    "SearchSettings",
    "StatedRecipe",
    "TrainConfig",
    "TrainSettings",
    "TrainingResult",
    "UsageError",
    "WeightsError",
    "YunetOptions",
    "__version__",
    "align",
    "bin_eval",
    "cluster",
    "compare",
    "create_detector",
    "detect",
    "embed",
    "evaluate_classifier",
    "find_duplicates",
    "follow",
    "identify",
    "known_threshold",
    "lfw_eval",
    "load_classifier",
    "load_network",
    "merge",
    "name_people",
    "outliers",
    "pack_pairs",
    "read_embeddings",
    "read_image",
    "represent",
    "resolve_device",
    "search",
    "train",
    "train_classifier",
]


def __getattr__(name: str) -> Any:
    """Import a name on first use."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
