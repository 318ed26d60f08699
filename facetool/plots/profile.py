"""Measurements of networks and pipelines as bars and lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facetool.files.text import counted
from facetool.plots.style import PALETTE, PAPER, plain
from facetool.profiling.folder import PROFILE_STAGES
from facetool.profiling.network import NetworkProfiles
from facetool.profiling.pipeline import PipelineProfile
from facetool.profiling.published_times import PUBLISHED_PIPELINES, published_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PUBLISHED = "#FEFEFE"
_STAGE_COLOURS = dict(zip(PROFILE_STAGES, (PALETTE[k] for k in (4, 0, 2, 1)), strict=True))


def network_figure(profiles: NetworkProfiles, published: bool = False) -> Figure:
    """Bars of the time per single-image pass, and lines of the throughput over batch sizes.

    Args:
        profiles: of one network or more.
        published: whether to add bars, hatched, for what the networks' authors published.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

    runs = [(one, run) for one in profiles.networks for run in one.runs]
    several = len(profiles.settings.devices) * len(profiles.settings.dtypes) > 1
    labels = [
        f"{_short(one.name)}, {run.device}, {run.dtype}" if several else _short(one.name)
        for one, run in runs
    ]
    bars: list[tuple[str, float, float | None, str, str]] = [
        (label, run.single.mean, run.single.std, *_style(number, "", "...."))
        for number, (label, (_, run)) in enumerate(zip(labels, runs, strict=True))
    ]
    if published:
        names = dict.fromkeys(one.architecture for one in profiles.networks)
        bars += [
            (
                f"{time.network} published,\n{time.hardware}",
                *(time.milliseconds, time.std, _PUBLISHED, "////"),
            )
            for name in names
            for time in published_times(name)
        ]
    with rc_context(PAPER):
        figure = Figure(figsize=(7, max(2.4, 0.9 + 0.28 * len(bars))), layout="constrained")
        times, rates = figure.subplots(1, 2, width_ratios=(3, 2))
        _bars(times, bars)
        for number, (label, (_, run)) in enumerate(zip(labels, runs, strict=True)):
            sizes = [size for size, rate in run.throughput.items() if rate is not None]
            colour, dashes = _style(number, "-", "--")
            rates.plot(
                sizes,
                [run.throughput[size] for size in sizes],
                dashes,
                marker="o",
                markersize=3,
                color=colour,
                label=plain(label),
            )
        rates.set(xscale="log", yscale="log", xlabel="Images per pass", ylabel="Images per second")
        for axis, places in (
            (rates.xaxis, FixedLocator(sorted(profiles.settings.batch_sizes))),
            (rates.yaxis, LogLocator(subs=(1, 2, 5))),
        ):
            axis.set_major_locator(places)
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter("{x:g}")
        rates.grid(True)
        rates.set_axisbelow(True)
    return figure


def _style(number: int, first: str, later: str) -> tuple[str, str]:
    """A colour, and how to tell it from the same colour when they start over."""
    return PALETTE[number % len(PALETTE)], first if number < len(PALETTE) else later


def _bars(axes: Axes, bars: Sequence[tuple[str, float, float | None, str, str]]) -> None:
    """Horizontal bars of mean and, where known, std, each with its mean beside it."""
    places = np.arange(len(bars))
    for place, (_, mean, std, colour, hatch) in zip(places, bars, strict=True):
        axes.barh(
            place,
            mean,
            xerr=None if std is None else [[min(std, mean)], [std]],
            color=colour,
            hatch=hatch,
            edgecolor="#777777" if colour == _PUBLISHED else "#FFFFFF" if hatch else colour,
            height=0.65,
            error_kw={"elinewidth": 0.6, "capsize": 2, "ecolor": "#444444"},
        )
        axes.annotate(
            f"{mean:.1f}",
            (mean + (std or 0), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    axes.set_yticks(places, [plain(label) for label, *_ in bars])
    axes.set(xlabel="Milliseconds per image, one image per pass")
    axes.margins(x=0.22)
    axes.set_xlim(left=0)
    axes.invert_yaxis()
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)


def pipeline_figure(profiles: Sequence[PipelineProfile], published: bool = False) -> Figure:
    """Stacked bars of the time per photo by stage, as OpenFace's performance plot.

    Args:
        profiles: of one network or more.
        published: whether to add bars, hatched, for what OpenFace published of its versions.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = []
    for profile in profiles:
        network = f", {_short(profile.network)}" if len(profiles) > 1 else ""
        rows += [
            (
                f"{Path(photo.image).name}{network}\n{photo.width}x{photo.height}",
                {stage: timing.mean for stage, timing in photo.stages.items()},
            )
            for photo in profile.photos
        ] + [
            (
                f"{Path(folder.folder).name}{network}\n{counted(folder.images, 'image')}, "
                f"{folder.images_per_second:.1f} per s",
                folder.milliseconds,
            )
            for folder in profile.folders
        ]
    theirs = PUBLISHED_PIPELINES if published else ()
    measured = len(rows)
    rows += [
        (f"{one.photo}, {one.program} published\n{one.pixels}, {one.hardware}", {})
        for one in theirs
    ]
    with rc_context(PAPER):
        figure = Figure(figsize=(7, 1.3 + 0.4 * len(rows)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(rows))
        left = np.zeros(len(rows))
        for stage in PROFILE_STAGES:
            times = np.array([stages.get(stage, 0.0) for _, stages in rows])
            if times.any():
                colour = _STAGE_COLOURS[stage]
                axes.barh(places, times, left=left, height=0.6, color=colour, label=stage)
            left += times
        for place, one in zip(places[measured:], theirs, strict=True):
            axes.barh(
                place,
                one.milliseconds,
                height=0.6,
                color=_PUBLISHED,
                hatch="////",
                edgecolor="#777777",
            )
            left[place] = one.milliseconds
        for place, total in zip(places, left, strict=True):
            axes.annotate(
                f"{total:.0f}",
                (total, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
        axes.set_yticks(places, [plain(label) for label, _ in rows])
        axes.set(xlabel="Milliseconds per photo")
        axes.margins(x=0.1)
        axes.invert_yaxis()
        axes.grid(True, axis="x")
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower center", ncols=len(PROFILE_STAGES), frameon=False)
    return figure


def _short(name: str) -> str:
    """A weights file without its folders."""
    return Path(name).name
