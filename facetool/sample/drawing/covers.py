"""What hides a part of the face: glasses, sunglasses, a hat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facetool.sample.drawing.canvas import Canvas, Pixels, ellipse, mirrored, ribbon, spline
from facetool.sample.drawing.person import Person
from facetool.sample.drawing.photo import PhotoSettings


def paint_glasses(canvas: Canvas, person: Person, photo: PhotoSettings) -> None:
    """The person's own glasses, or sunglasses."""
    dark = photo.cover == "sunglasses"
    if not dark and (person.glasses == "none" or not photo.glasses_on):
        return
    frame = (0.07, 0.06, 0.06) if dark or person.glasses == "square" else (0.35, 0.25, 0.16)
    power = 0.9 if person.glasses == "round" else 0.55
    for side in (-1, 1):
        t = np.linspace(0, 2 * np.pi, 41)
        cos, sin = np.cos(t), np.sin(t)
        rim = np.stack(
            [
                side * person.eye_x + 0.29 * np.sign(cos) * np.abs(cos) ** power,
                person.eye_y + 0.05 + 0.23 * np.sign(sin) * np.abs(sin) ** power,
            ],
            1,
        )
        if dark:
            canvas.paint(rim, (0.05, 0.05, 0.06), 0.004, 0.96)
            gleam = ellipse(side * person.eye_x - 0.08, person.eye_y - 0.05, 0.1, 0.04, -0.5)
            canvas.paint(gleam, (0.5, 0.52, 0.55), 0.03, 0.5)
        canvas.paint(ribbon(rim, 0.018), frame, 0.003, 0.95)
        arm = [(side * (person.eye_x + 0.28), -0.02), (side * 1.02, -0.06)]
        canvas.paint(ribbon(arm, 0.02), frame, 0.004, 0.95)
    inner = max(person.eye_x - 0.28, 0.04)
    canvas.paint(ribbon(spline([(-inner, 0), (0, -0.05), (inner, 0)]), 0.018), frame, 0.003, 0.95)


def paint_hat(canvas: Canvas, person: Person, photo: PhotoSettings) -> Pixels:
    """A knitted hat with a folded brim; returns how much it covers, (height, width)."""
    if photo.cover != "hat":
        return np.zeros(canvas.image.shape[:2], np.float32)
    edge = min(person.brow_y - 0.24, -0.50)
    crown = spline([(0, -1.74), (0.45, -1.68), (0.85, -1.45), (1.07, -1.05), (1.12, edge + 0.1)])
    brim_top, brim = edge - 0.30, edge + 0.14
    colour = np.array(photo.cover_colour)
    ribs = (1 + 0.10 * np.sin(34 * canvas.x) + 0 * canvas.y)[..., None] * colour

    def band(top: float, bottom: float, wide: float) -> NDArray[np.float64]:
        upper = spline([(-wide, top + 0.10), (0, top), (wide, top + 0.10)])
        lower = spline([(wide + 0.01, bottom), (0, bottom - 0.12), (-wide - 0.01, bottom)])
        return np.concatenate([upper, lower])

    top = canvas.mask(mirrored(crown[crown[:, 1] < brim_top + 0.2]), 0.006)
    fold = canvas.mask(band(brim_top, brim, 1.13), 0.006)
    canvas.blend(top, ribs[top.rows, top.cols])
    canvas.paint(
        band(brim_top - 0.06, brim_top + 0.02, 1.1), colour * 0.55, 0.03, 0.6, canvas.full(top)
    )
    canvas.blend(fold, ribs[fold.rows, fold.cols] * 1.12)
    return np.maximum(canvas.full(top), canvas.full(fold))
