"""A training run as a plot: loss, learning rate, verification accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from facetool.plots.style import PALETTE, plain
from facetool.training.log import LogRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_figure(rows: Sequence[LogRow], title: str) -> Figure:
    """Three panels over the steps, of 7 x 7 inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 7), layout="constrained")
    figure.suptitle(plain(title), fontsize=10)
    loss, rate, accuracy = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 3))
    steps = [row.step for row in rows]
    loss.plot(steps, [row.loss for row in rows], color=PALETTE[0], linewidth=1)
    loss.set_ylabel("loss")
    rate.plot(steps, [row.learning_rate for row in rows], color="#777777", linewidth=1)
    rate.set_ylabel("learning rate")
    accuracy.plot(
        steps, [row.accuracy for row in rows], color="#999999", linewidth=0.8, label="training"
    )
    evaluated = [row for row in rows if row.verification]
    names = list(dict.fromkeys(name for row in evaluated for name in row.verification))
    for number, name in enumerate(names):
        accuracy.plot(
            [row.step for row in evaluated],
            [row.verification.get(name, math.nan) for row in evaluated],
            marker=".",
            color=PALETTE[number % len(PALETTE)],
            label=f"verification, {name}",
        )
    accuracy.axhline(0.5, color="#CCCCCC", linewidth=0.8, linestyle="--", zorder=0)
    accuracy.set(ylabel="accuracy", xlabel="step", ylim=(0, 1.01))
    accuracy.legend(fontsize=8, loc="lower right")
    for axes in (loss, rate, accuracy):
        axes.grid(True, color="#EEEEEE")
        axes.set_axisbelow(True)
    return figure
