"""The ROC curve of another run of ``lfw-eval``, out of its folder."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from facetool.errors import FormatError
from facetool.evaluation.distances import Floats
from facetool.evaluation.openface import GRID
from facetool.evaluation.roc import Curve
from facetool.files.json_file import read_json
from facetool.files.text import read_text

_RESULT = "result.json"
_COLUMNS = ("tp", "tn", "fp", "fn", "tpr", "fpr")


def read_run_curve(folder: Path) -> Curve:
    """The mean curve of a run's folds, as the run itself drew it.

    OpenFace's protocol averages folds at false positive rates, the others at thresholds.

    Args:
        folder: with ``result.json``, and ``l2-roc.fold-K.csv`` for each fold that it states.

    Raises:
        FormatError: it is no such folder, or a file of it is damaged.
    """
    files = sorted(folder.glob("l2-roc.fold-*.csv"))
    if not files or not (folder / _RESULT).is_file():
        missing = "l2-roc.fold-K.csv" if (folder / _RESULT).is_file() else _RESULT
        raise FormatError(
            f"{folder}: not a folder as lfw-eval writes it, with the folds' curves: no {missing}"
        )
    result = read_json(folder / _RESULT)
    match result.get("accuracy"):
        case {"folds": [*stated]}:  # an earlier run in this folder may have had more
            files = [folder / f"l2-roc.fold-{number}.csv" for number in range(len(stated))]
    folds = [fold for file in files if len(fold := _read_fold(file)) > 1]
    if not folds:
        raise FormatError(f"{folder}: no fold has pairs of both kinds, and so a curve of its own")
    if result.get("protocol") == "openface":
        curves = [Curve(fold[:, 1], fold[:, 0]) for fold in folds]
        return Curve(GRID, np.mean([curve.at(GRID) for curve in curves], axis=0))
    longest = max(map(len, folds))
    # A fold's file ends where everything is accepted.
    padded = [np.pad(fold, ((0, longest - len(fold)), (0, 0)), mode="edge") for fold in folds]
    tpr, fpr = np.mean(padded, axis=0).T
    return Curve(fpr, tpr)


def _read_fold(file: Path) -> Floats:
    """True and false positive rates, (T, 2); none for a fold without pairs of both kinds."""
    reader = csv.DictReader(read_text(file).splitlines())
    try:
        columns = set(reader.fieldnames or ())
        rows = [{name: float(row[name]) for name in _COLUMNS} for row in reader]
    except (KeyError, TypeError, ValueError, csv.Error):
        columns, rows = set(), []
    if not set(_COLUMNS) <= columns:
        raise FormatError(f"{file}: not a fold's ROC as lfw-eval writes it")
    both = all(row["tp"] + row["fn"] and row["fp"] + row["tn"] for row in rows)
    rates = [[row["tpr"], row["fpr"]] for row in rows]
    values = np.array(rates if both else [], np.float64).reshape(-1, 2)
    if not ((values >= 0) & (values <= 1)).all():
        raise FormatError(f"{file}: rates must be between 0 and 1")
    return values
