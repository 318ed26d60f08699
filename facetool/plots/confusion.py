"""Who was taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from facetool.plots.style import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_figure(truth: Sequence[str], answers: Sequence[str], people: Sequence[str]) -> Figure:
    """Draw who was taken for whom: rows are who it is, columns the answers.

    Args:
        truth: who each face is.
        answers: who it was taken for.
        people: all of both, in the order of rows and columns.

    Returns:
        A figure that grows with the number of people.
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
    shades = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    labels = [plain(name.replace("_", " ")) for name in people]
    axes.set_xticks(range(len(people)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(people)), labels, fontsize=7)
    axes.set(xlabel="answer", ylabel="who it is")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)
    figure.colorbar(shades, ax=axes, shrink=0.6, label="share of the row")
    return figure
