"""Pairs of faces and how they were judged: examples and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facetool.images.read import RGBImage
from facetool.plots.style import PALETTE, PAPER, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4

_RIGHT, _WRONG = PALETTE[2], PALETTE[1]


@dataclass(frozen=True)
class PlottedPair:
    """A pair to be drawn.

    Attributes:
        image: both faces side by side, uint8 RGB; None where neither is there.
        text: lines below it.
    """

    image: RGBImage | None
    text: str


@dataclass(frozen=True)
class PairGroup:
    """Pairs judged alike.

    Attributes:
        title: what they have in common.
        wrong: whether they were judged wrongly.
        pairs: to be drawn, in this order.
    """

    title: str
    wrong: bool
    pairs: Sequence[PlottedPair]


def pairs_figure(groups: Sequence[PairGroup]) -> Figure:
    """Draw groups of pairs below each other, four pairs in a row, framed by right or wrong.

    A group without pairs is its title only.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = [-(-len(group.pairs) // COLUMNS) for group in groups]
    heights = [0.25 + 1.25 * count for count in rows]
    with rc_context(PAPER):
        figure = Figure(figsize=(7, sum(heights)), layout="constrained")
        parts = figure.subfigures(len(groups), height_ratios=heights, squeeze=False)[:, 0]
        for part, group, count in zip(parts, groups, rows, strict=True):
            part.suptitle(plain(group.title), fontsize=9, fontweight="bold", x=0.01, ha="left")
            if not count:
                continue
            grid = part.subplots(count, COLUMNS, squeeze=False).ravel()
            for axes in grid[len(group.pairs) :]:
                axes.set_axis_off()
            for axes, pair in zip(grid, group.pairs, strict=False):
                axes.set(xticks=[], yticks=[])
                if pair.image is None:
                    axes.set_box_aspect(0.5)
                    axes.text(0.5, 0.5, "no image", ha="center", transform=axes.transAxes)
                else:
                    axes.imshow(pair.image)
                for spine in axes.spines.values():
                    spine.set(color=_WRONG if group.wrong else _RIGHT, linewidth=1.5)
                axes.set_xlabel(plain(pair.text), fontsize=6)
    return figure
