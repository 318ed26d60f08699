"""Figures of identification: accuracy, DIR at FPIR, confusions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.classification.algorithms import Floats

FPIRS = (0.001, 0.01, 0.1)


def dir_at_fpir(likeness: Floats, right: NDArray[np.bool_], strangers: Floats, fpir: float) -> Any:
    """Detection and identification rate of rank 1 where a share of the strangers is named.

    The threshold is the lowest at which no more than ``fpir`` of the strangers' likenesses reach
    it (ISO/IEC 19795-1's terms).

    Args:
        likeness: (K,) of the faces of known people to the person they are taken for.
        right: (K,) whether that is who they are.
        strangers: (S,) of strangers' faces.
        fpir: 0…1.

    Returns:
        JSON values ``fpir`` (asked for), ``threshold``, ``strangers_named`` (a count), ``dir``
        and ``measurable``: whether there are strangers enough for one of them to matter.
    """
    allowed = int(np.floor(fpir * len(strangers) + 1e-9))
    ordered = np.sort(strangers)[::-1]
    threshold = np.nextafter(ordered[allowed], np.inf) if allowed < len(ordered) else -1.0
    return {
        "fpir": fpir,
        "threshold": float(threshold),
        "strangers_named": int((strangers >= threshold).sum()),
        "dir": float((right & (likeness >= threshold)).mean()),
        "measurable": allowed >= 1,
    }


def confusion_figure(truth: list[str], answers: list[str], people: list[str]) -> Any:
    """A picture of who was taken for whom: rows are who it is, columns the answers.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    rows = {name: number for number, name in enumerate(people)}
    counts = np.zeros((len(people), len(people)), np.int64)
    for is_, said in zip(truth, answers, strict=True):
        counts[rows[is_], rows[said]] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.5 + 0.28 * len(people)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    labels = [name.replace("_", " ").replace("$", r"\$") for name in people]
    axes.set_xticks(range(len(people)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(people)), labels, fontsize=7)
    axes.set(xlabel="answer", ylabel="who it is")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)
    figure.colorbar(picture, ax=axes, shrink=0.6, label="share of the row")
    return figure
