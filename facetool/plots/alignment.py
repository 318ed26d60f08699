"""How faces were cut out, step by step: box, landmarks, transform, crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facetool.alignment.landmarks import Points
from facetool.images.read import RGBImage
from facetool.plots.style import PALETTE, PAPER, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ExplainedCrop:
    """What became of one face.

    Attributes:
        name: of the photo.
        photo: uint8 RGB (H, W, 3), upright.
        box: left, top, right, bottom.
        landmarks: (K, 2).
        outline: the crop's corners in the photo (4, 2), where the recipe is a transform.
        crop: uint8 RGB.
        recipe: in words.
    """

    name: str
    photo: RGBImage
    box: tuple[float, ...]
    landmarks: Points
    outline: Points | None
    crop: RGBImage
    recipe: str


def alignment_figure(faces: Sequence[ExplainedCrop]) -> Figure:
    """A row for each face: the photo with the box, its part with landmarks and crop, the crop."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.patches import Polygon, Rectangle

    with rc_context(PAPER):
        figure = Figure(figsize=(7, 2.6 * len(faces)), layout="constrained")
        grid = figure.subplots(len(faces), 3, squeeze=False)
        for row, face in zip(grid, faces, strict=True):
            left, top, right, bottom = face.box
            titles = (f"{face.name}: detection", "landmarks and crop", face.recipe)
            for axes, title in zip(row, titles, strict=True):
                axes.set_title(plain(title), fontsize=8)
                axes.set_axis_off()
            for axes in row[:2]:
                axes.imshow(face.photo)
                axes.add_patch(
                    Rectangle(
                        (left, top), right - left, bottom - top, fill=False, edgecolor=PALETTE[4]
                    )
                )
            row[1].plot(*face.landmarks.T, "o", color=PALETTE[5], markersize=2.5)
            corners = np.array([(left, top), (right, bottom)])
            if face.outline is not None:
                row[1].add_patch(Polygon(face.outline, fill=False, edgecolor=PALETTE[3]))
                # The side that becomes the crop's upper one, for crops that are turned.
                row[1].plot(*face.outline[:2].T, color=PALETTE[1], linewidth=2)
                corners = np.vstack([corners, face.outline])
            low, high = corners.min(axis=0), corners.max(axis=0)
            margin = 0.15 * (high - low)
            row[1].set_xlim(low[0] - margin[0], high[0] + margin[0])
            row[1].set_ylim(high[1] + margin[1], low[1] - margin[1])
            row[2].imshow(face.crop)
    return figure
