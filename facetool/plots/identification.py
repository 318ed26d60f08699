"""The identification figure: rank-1 against distractors, CMC and ROC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facetool.evaluation.identification import Identification
from facetool.plots.style import MAIN, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def identification_figure(outcome: Identification) -> Figure:
    """Draw rank-1 rate over the number of distractors, CMC curves, and the ROC curve.

    Returns:
        A figure of 7 x 2.9 inches, for the width of a page.
    """
    from matplotlib import colormaps, rc_context
    from matplotlib.figure import Figure

    with rc_context(PAPER):
        figure = Figure(figsize=(7, 2.9), layout="constrained")
        growth, cmc, roc = figure.subplots(1, 3)
        growth.plot(outcome.sizes, outcome.cmc[:, 0], color=MAIN, marker="o", markersize=3)
        growth.set(
            xscale="log", xlabel="Number of distractors", ylabel="Rank-1 identification rate"
        )

        ranks = np.arange(1, outcome.cmc.shape[1] + 1)
        shades = colormaps["viridis"](np.linspace(0.85, 0.1, len(outcome.sizes)))
        for size, rates, shade in zip(outcome.sizes, outcome.cmc, shades, strict=True):
            cmc.plot(ranks, rates, color=shade, label=f"{size:,} distractors")
        cmc.set(xlabel="Rank", ylabel="Identification rate")

        far, tar = outcome.roc()
        roc.plot(far, tar, color=MAIN, drawstyle="steps-post")
        roc.set(xscale="log", xlabel="False accept rate", ylabel="True accept rate")
        for axes in (growth, cmc, roc):
            axes.set_ylim(min(axes.get_ylim()[0], 0.95), 1.005)
            axes.grid(True)
            axes.set_axisbelow(True)
        handles, _ = cmc.get_legend_handles_labels()
        figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)
    return figure
