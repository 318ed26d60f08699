"""A map of embeddings: each person has a colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facetool.embedding.people import NO_FOLDER
from facetool.files.text import counted
from facetool.plots.style import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEGEND = 20
"""People that colours can tell apart; of more, the names would cover the plot."""


def embedding_map(
    points: NDArray[np.float32], how: str, labels: NDArray[np.int64], names: Sequence[str]
) -> Figure:
    """Draw points in people's colours, with a legend where the colours do not come again.

    Args:
        points: (N, 2).
        how: they were found, for the title.
        labels: (N,), the number of each point's person.
        names: by number; empty for faces that lie in no person's folder.

    Returns:
        A figure of 8 x 7 inches.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    colours = colormaps["tab20"](labels % 20)
    axes.scatter(points[:, 0], points[:, 1], s=14, c=colours, linewidths=0)
    sorted_ones = [name for name in names if name]
    if sorted_ones and len(names) <= _LEGEND:
        for number, name in enumerate(names):
            label = plain(name.replace("_", " ")) if name else NO_FOLDER
            axes.scatter([], [], s=14, color=colormaps["tab20"](number), label=label)
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    known = len(sorted_ones) == len(names)
    people = f" of {counted(len(names), 'person', 'people')}" if known else ""
    axes.set_title(f"{how} of {counted(len(points), 'face')}{people}", fontsize=10)
    return figure
