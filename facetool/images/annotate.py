"""Drawing boxes and names on photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facetool.images.letters import ScriptRun, runs
from facetool.images.read import RGBImage

_COLOUR = (255, 214, 0)


@dataclass(frozen=True)
class Label:
    """A box (left, top, right, bottom; pixels) and the text beside it, if any."""

    box: tuple[float, ...]
    text: str


def annotate(image: RGBImage, labels: Sequence[Label]) -> RGBImage:
    """A copy of a photo with labelled boxes; lines and letters grow with the photo.

    The text stands above its box, or below it where there is no room, and never leaves the
    photo if it fits in at all.
    """
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    width, height = canvas.size
    line = max(1, round(min(width, height) / 250))
    size = max(11, min(width, height) / 28)
    for label in labels:
        left, top, right, bottom = label.box
        draw.rectangle((left, top, right, bottom), outline=_COLOUR, width=line)
        text = runs(label.text.replace("_", " "))
        if not text:
            continue
        x0, y0, x1, y1 = _draw(draw, (0, 0), text, size, fill=None)
        wide, high = x1 - x0 + 2 * line, y1 - y0 + 2 * line
        x = max(0.0, min(left, width - wide))
        y = top - high if top >= high else min(bottom, height - high)
        draw.rectangle((x, y, x + wide, y + high), fill=_COLOUR)
        _draw(draw, (x + line - x0, y + line - y0), text, size, fill="black")
    return np.asarray(canvas)


def _draw(
    draw: ImageDraw.ImageDraw,
    start: tuple[float, float],
    text: Sequence[ScriptRun],
    size: float,
    fill: str | None,
) -> tuple[float, float, float, float]:
    """Write letters of several fonts on one line, or only measure them.

    Args:
        draw: the photo.
        start: the left end of the line they stand on, pixels.
        text: what to write.
        size: of the letters, pixels.
        fill: their colour; None: nothing is drawn.

    Returns:
        Left, top, right and bottom of what they cover, pixels.
    """
    x, y = start
    covered = []
    for letters, path in text:
        font = ImageFont.truetype(str(path), size)
        covered.append(draw.textbbox((x, y), letters, font=font, anchor="ls"))
        if fill is not None:
            draw.text((x, y), letters, fill=fill, font=font, anchor="ls")
        x += font.getlength(letters)
    lefts, tops, rights, bottoms = zip(*covered, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
