"""How embeddings find their places in training, as an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facetool.files.atomic import atomic_write
from facetool.plots.style import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FRAME_MS = 350
_REST_MS = 1500
"""The first and the last frame stay longer."""

_DPI = 80
_COLOURS = "tab10"


def draw_snapshots(
    frames: Sequence[tuple[str, NDArray[np.float32]]],
    labels: NDArray[np.int64],
    names: Sequence[str],
    *,
    circle: bool = False,
) -> list[Figure]:
    """A figure for each frame, all to one scale.

    Args:
        frames: title, and points (N, 2) or (N, 3). Three coordinates are drawn on the unit sphere.
        labels: (N,), the number of each point's person.
        names: of the people, ten at most.
        circle: draw the unit circle, too, and each person's mean direction.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    colours = colormaps[_COLOURS](labels % 10)
    reach = max(float(np.abs(points).max()) for _, points in frames) * 1.08
    solid = frames[0][1].shape[1] == 3
    plots = []
    for title, points in frames:
        figure = Figure(figsize=(7.5, 6), layout="constrained")
        axes: Any = figure.add_subplot(projection="3d" if solid else None)
        if solid:
            _sphere(axes)
        else:
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
            axes.set_aspect("equal")
            if circle:
                _circle(axes, points, labels)
        axes.scatter(*points.T, s=16, c=colours, linewidths=0, alpha=0.8)
        handles = [
            axes.scatter([], [], s=20, color=colormaps[_COLOURS](number), label=plain(name))
            for number, name in enumerate(name.replace("_", " ") for name in names)
        ]
        figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
        axes.set_title(plain(title), fontsize=11)
        plots.append(figure)
    return plots


def _circle(axes: Axes, points: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
    """The unit circle, and each person's mean direction."""
    from matplotlib import colormaps
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor="#BBBBBB", linewidth=0.8))
    for label in np.unique(labels):
        mean = points[labels == label].mean(axis=0)
        length = float(np.linalg.norm(mean))
        if length > 0:
            colour = colormaps[_COLOURS](label % 10)
            axes.plot([0, mean[0] / length], [0, mean[1] / length], color=colour, linewidth=0.8)


def _sphere(axes: Any) -> None:
    around, down = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, np.pi, 13))
    axes.plot_wireframe(
        np.cos(around) * np.sin(down),
        np.sin(around) * np.sin(down),
        np.cos(down),
        color="#DDDDDD",
        linewidth=0.4,
    )
    axes.set_box_aspect((1, 1, 1), zoom=1.5)
    axes.set_axis_off()


def save_animation(plots: Sequence[Figure], path: Path) -> None:
    """Write plots as the frames of a GIF that begins again at its end.

    Raises:
        OutputError: the file cannot be written.
    """
    from PIL import Image

    frames = []
    for figure in plots:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI)
        frames.append(Image.open(buffer).convert("RGB"))
    # One palette for all frames: colours keep their meaning, and nothing flickers.
    palette = frames[-1].quantize(255)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [_REST_MS, *[_FRAME_MS] * (len(frames) - 2), _REST_MS]
    with atomic_write(path) as file:
        first.save(
            file,
            format="GIF",
            save_all=True,
            append_images=others,
            duration=durations[: len(frames)],
            loop=0,
        )
