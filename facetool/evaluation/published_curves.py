"""Published ROC curves, as `--curve` takes them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from facetool.errors import FormatError
from facetool.evaluation.roc import Curve
from facetool.files.text import read_text

_FALSE_POSITIVE = ("fpr", "far", "x")
_TRUE_POSITIVE = ("tpr", "tar")
_FALSE_NEGATIVE = ("fnr", "frr", "y")


def read_curve(path: Path) -> Curve:
    """Read an ROC curve. Points may come in any order; three kinds of file are known.

    - Two columns of numbers without a header, separated by white space or commas: the results
      on LFW's web page (human, Baidu, DeepFace, Eigenfaces). There the first column is the true
      and the second the false positive rate. Other sources have it the other way round, so the
      column with the larger sum is taken for the true positive rate, which is right for every
      curve above the diagonal of chance.
    - OpenBR's DET table, a CSV with the columns ``X`` (false accept rate) and ``Y`` (false
      **reject** rate, hence a true positive rate of 1 - Y), and others that are not needed.
    - Any CSV whose header names ``fpr`` or ``far``, and ``tpr``, ``tar``, ``fnr`` or ``frr``,
      such as ``l2-roc.fold-K.csv``.

    Raises:
        FormatError: the file is none of these; the message names the line.
    """
    lines = read_text(path).splitlines()
    try:
        rows = [
            (number, next(csv.reader([line])) if "," in line else line.split())
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
    except csv.Error as error:
        raise FormatError(f"{path}: no table of numbers ({error})") from error
    if not rows:
        raise FormatError(f"{path}: the file is empty")

    header = [cell.strip().lower() for cell in rows[0][1]]
    x = next((header.index(name) for name in _FALSE_POSITIVE if name in header), None)
    y = next(
        (header.index(name) for name in _TRUE_POSITIVE + _FALSE_NEGATIVE if name in header), None
    )
    if x is not None and y is not None:
        fpr, rate = _columns(path, rows[1:], x, y)
        return Curve.through(fpr, 1 - rate if header[y] in _FALSE_NEGATIVE else rate)
    if len(header) != 2:
        raise FormatError(
            f"{path} line {rows[0][0]}: expected two columns of numbers, or a header naming "
            f"fpr and tpr (or X and Y, as OpenBR's DET table), found {lines[rows[0][0] - 1][:60]!r}"
        )
    one, other = _columns(path, rows, 0, 1)
    return Curve.through(other, one) if one.sum() >= other.sum() else Curve.through(one, other)


def _columns(
    path: Path, rows: list[tuple[int, list[str]]], *columns: int
) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The wanted columns as rates; each has at least one row."""
    table = np.empty((len(columns), len(rows)))
    for place, (number, cells) in enumerate(rows):
        try:
            values = [float(cells[column]) for column in columns]
        except (ValueError, IndexError):
            values = []
        if not values or not all(0 <= value <= 1 for value in values):
            raise FormatError(
                f"{path} line {number}: expected rates between 0 and 1, found {cells[:4]}"
            )
        table[:, place] = values
    if not rows:
        raise FormatError(f"{path}: no points below the header")
    return list(table)
