"""Classifier files: safetensors, that is numbers and one JSON text, so nothing in them can run.

The text says which embeddings the classifier understands, the names, and its calibration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool._version import __version__
from facetool.classification.algorithms import MODELS
from facetool.classification.classifier import Classifier, CrossValidation
from facetool.classification.confidence import Confidence
from facetool.classification.fit import FITTERS, Lda
from facetool.classification.open_set import OpenSetThreshold
from facetool.classification.openface_pickle import (
    OpenFaceClassifier,
    is_pickle,
    recognise_pickle,
)
from facetool.classification.provenance import Provenance
from facetool.errors import FormatError, one_line
from facetool.files.atomic import atomic_write
from facetool.files.input_file import check_regular
from facetool.files.json_file import parse_json
from facetool.files.safetensors_texts import CLASSIFIER_KEY
from facetool.files.text import reading

CLASSIFIER_VERSION = 1

_DTYPES = ("F64", "I64")


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write a classifier, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    arrays = {f"model.{name}": array for name, array in classifier.model.arrays().items()}
    arrays["means"] = classifier.means
    if classifier.lda:
        arrays["lda.mean"] = classifier.lda.mean
        arrays["lda.projection"] = classifier.lda.projection
    header = {
        "format": CLASSIFIER_VERSION,
        "facetool": __version__,
        "classifier": classifier.kind,
        "model": classifier.model.name,
        "people": classifier.people,
        "source": asdict(classifier.provenance),
        "threshold": asdict(classifier.threshold),
        "confidence": asdict(classifier.confidence),
        "cross_validation": asdict(classifier.cross_validation),
    }
    stored = {name: _storable(array) for name, array in arrays.items()}
    # Sorted and without a date: equal classifiers make equal files.
    data = to_bytes(stored, metadata={CLASSIFIER_KEY: json.dumps(header, sort_keys=True)})
    with atomic_write(path) as file:
        file.write(data)


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    kind = np.float64 if array.dtype.kind == "f" else np.int64
    return np.ascontiguousarray(array, kind).reshape(array.shape)


def load_classifier(path: str | Path) -> Classifier:
    """Read a classifier written by :func:`save_classifier`.

    Raises:
        FormatError: the file is damaged, or holds something else; of OpenFace's classifiers the
            message says how to train their like.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    with reading(path):
        check_regular(path)
    if openface := recognise_pickle(path):
        raise _instead_of(openface, path)
    try:
        with safe_open(path, framework="np") as file:
            header = _read_header((file.metadata() or {}).get(CLASSIFIER_KEY))
            arrays = {}
            for name in file.keys():  # noqa: SIM118
                if file.get_slice(name).get_dtype() not in _DTYPES:
                    raise FormatError(f"the array {name!r} is of no type a classifier has")
                arrays[name] = file.get_tensor(name)
        return _build(header, arrays)
    except FormatError as error:
        raise FormatError(
            f"{path}: {error}; recreate it with facetool classify train REPS"
        ) from error
    except (SafetensorError, OSError, ValueError, MemoryError) as error:
        reason = "a Python pickle, which is never loaded" if is_pickle(path) else one_line(error)
        raise FormatError(
            f"{path} is not a classifier ({reason}); make one with facetool classify train REPS"
        ) from error


def _instead_of(openface: OpenFaceClassifier, path: Path) -> FormatError:
    """What to do where somebody has a classifier of OpenFace's."""
    settings = ["model=nn4.small2.v1"]
    settings += [f"classifier={openface.kind}"] if openface.kind else []
    settings += ["lda_dim=N"] if openface.lda else []
    folder = path.parent if (path.parent / "reps.csv").is_file() else "WORKDIR"
    return FormatError(
        f"{path} is a classifier of OpenFace, a pickle, which may run anything when it is loaded, "
        "so facetool never does; train its like from the reps.csv and labels.csv it was made of: "
        f"facetool classify train {folder} {' '.join(settings)}",
        *settings,
    )


def _read_header(text: str | None) -> dict[str, Any]:
    if text is None:
        raise FormatError("this safetensors file holds no classifier")
    header = parse_json(text, "its description")
    if header.get("format") != CLASSIFIER_VERSION:
        raise FormatError(f"written by another facetool (format {header.get('format')!r})")
    return header


def _build(header: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> Classifier:
    kind, people = str(header.get("classifier")), header.get("people")
    form = MODELS.get(str(header.get("model")))
    if kind not in FITTERS or form is None:
        raise FormatError(f"there is no classifier {kind[:40]!r}")
    if not isinstance(people, list) or not all(isinstance(name, str) for name in people):
        raise FormatError("'people' is not a list of names")
    if len(set(people)) != len(people) or not people:
        raise FormatError("'people' does not name different people")
    try:
        model = form(**_part(arrays, "model."))
        lda = Lda(**_part(arrays, "lda.")) if "lda.mean" in arrays else None
        means = arrays["means"]
    except (KeyError, TypeError) as error:
        raise FormatError(f"its arrays are not those of {kind}: {one_line(error)}") from error
    if means.ndim != 2 or len(means) != len(people) or not np.isfinite(means).all():
        raise FormatError("the array 'means' is not one row per person")
    dimensions = means.shape[1]
    if lda is not None:
        _check_lda(lda, dimensions)
        dimensions = lda.projection.shape[1]
    model.check(dimensions, len(people))
    return Classifier(
        kind,
        tuple(people),
        model,
        lda,
        means,
        _record(OpenSetThreshold, header.get("threshold"), "threshold"),
        _check_confidence(_record(Confidence, header.get("confidence"), "confidence")),
        _record(Provenance, header.get("source"), "source"),
        _record(CrossValidation, header.get("cross_validation"), "cross_validation"),
    )


def _part(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)}


def _check_lda(lda: Lda, dimensions: int) -> None:
    shapes = lda.mean.shape == (dimensions,) and lda.projection.ndim == 2
    if not shapes or len(lda.projection) != dimensions:
        raise FormatError("the arrays of the LDA do not fit each other")
    if not (np.isfinite(lda.mean).all() and np.isfinite(lda.projection).all()):
        raise FormatError("the arrays of the LDA hold numbers that are not finite")


def _check_confidence(confidence: Confidence) -> Confidence:
    if not (confidence.temperature > 0 and confidence.slope >= 0):
        raise FormatError("'confidence' holds what is no scale")
    return confidence


_KINDS: dict[str, tuple[type, ...]] = {
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "dict[str, Any]": (dict,),
}
"""What JSON gives for the types of the records' fields."""


def _record(record: type[Any], values: object, name: str) -> Any:
    """A dataclass of plain values from a JSON object, its types checked."""
    wanted = {key: _KINDS[field.type] for key, field in record.__dataclass_fields__.items()}
    if not isinstance(values, dict) or set(values) != set(wanted):
        raise FormatError(f"{name!r} is not what it should be")
    for key, value in values.items():
        finite = not isinstance(value, float) or np.isfinite(value)
        if not isinstance(value, wanted[key]) or not finite:
            raise FormatError(f"{name!r} has no proper {key!r}")
    return record(**values)
