"""The ROC figure, fit for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facetool.evaluation.roc import Curve
from facetool.files.text import counted
from facetool.plots.style import MAIN, PALETTE, PAPER, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by a printer, too.
_DASHES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (1, 1)))

_LOWEST_FPR = 1e-3


def roc_figure(
    mean: Curve, folds: Sequence[Curve], label: str, overlays: Sequence[tuple[str, Curve]] = ()
) -> Figure:
    """Draw a mean ROC curve over its folds (grey), with other curves to compare.

    The left panel is linear; the right one shows the same curves over a logarithmic false
    positive rate from 10⁻³, and no more of the true positive rate than they need. The legend
    gives each curve's area.

    Returns:
        A figure of 7 x 3.6 inches or more, for the width of a page.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    lines = [(mean, _labelled(label, mean, color=MAIN, linewidth=1.5, zorder=3))]
    for number, fold in enumerate(folds):
        # A label that begins with an underscore stays out of the legend.
        name = f"its {counted(len(folds), 'fold')}" if number == 0 else "_"
        lines.append((fold, {"label": name, "color": "#BBBBBB", "linewidth": 0.5, "zorder": 1}))
    for number, (name, curve) in enumerate(overlays):
        colour, dashes = PALETTE[1:][number % len(_DASHES)], _DASHES[number % len(_DASHES)]
        lines.append((curve, _labelled(name, curve, color=colour, linestyle=dashes, zorder=2)))

    legend_rows = (len(overlays) + 2 + 2) // 3
    with rc_context(PAPER):
        figure = Figure(figsize=(7, 3.25 + 0.17 * legend_rows), layout="constrained")
        linear, logarithmic = figure.subplots(1, 2)
        _draw(linear, np.linspace(0, 1, 1001), lines)
        _draw(logarithmic, np.geomspace(_LOWEST_FPR, 1, 1001), lines)
        linear.plot([0, 1], [0, 1], color="#999999", linewidth=0.6, dashes=(4, 3), label="_")
        linear.set(xlim=(0, 1), ylabel="True positive rate")
        lowest = min(float(curve.at(_LOWEST_FPR)) for curve, _ in lines)
        bottom = min(np.floor(lowest * 10) / 10, 0.9)
        logarithmic.set(xscale="log", xlim=(_LOWEST_FPR, 1), ylim=(bottom, 1 + (1 - bottom) / 200))
        handles, _ = linear.get_legend_handles_labels()
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _labelled(name: str, curve: Curve, **style: Any) -> dict[str, Any]:
    return {"label": plain(f"{name} [AUC {curve.auc:.3f}]"), **style}


def _draw(
    axes: Axes, grid: NDArray[np.float64], lines: Sequence[tuple[Curve, dict[str, Any]]]
) -> None:
    """Draw curves on one panel, as far as they reach.

    They are evaluated on the panel's own grid: a logarithmic axis would bend the straight
    pieces of a polyline wrongly.
    """
    for curve, style in lines:
        shown = grid[(grid >= curve.fpr[0]) & (grid <= curve.fpr[-1])]
        axes.plot(shown, curve.at(shown), **style)
    axes.set(xlabel="False positive rate", ylim=(0, 1.005))
    axes.grid(True)
    axes.set_axisbelow(True)
