"""What is around the head: background, shoulders, neck, long hair, a scarf."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from facetool.sample.drawing.canvas import DOWN, Canvas, ellipse, mirrored, ribbon, spline
from facetool.sample.drawing.hair import back_hair
from facetool.sample.drawing.person import Person
from facetool.sample.drawing.photo import PhotoSettings

SIZE = 250
# The head turns about this point of the face plane; PhotoSettings.centre says where it appears.
MIDDLE = np.array((0.0, 0.25))


class Scene:
    """The image into which the head is set.

    Attributes:
        canvas: of the size of the photo; its origin is the centre of the face.
    """

    def __init__(self, person: Person, photo: PhotoSettings, turn: NDArray[np.float64]) -> None:
        corner = -np.array(photo.centre) / photo.zoom
        self.canvas = Canvas(corner[0], corner[1], SIZE, SIZE, photo.zoom)
        self._person, self._photo, self._turn = person, photo, turn
        self._rng = np.random.default_rng(photo.texture)
        self._level = float(np.clip(photo.ambient + 0.45 * photo.key, 0.5, 1.1)) ** 0.5

    def _project(self, points: ArrayLike, z: float, follow: float) -> NDArray[np.float64]:
        """Where points of the depth z appear if they follow the turn of the head so far."""
        matrix = follow * self._turn + (1 - follow) * np.eye(3)
        flat = (np.asarray(points, np.float64) - MIDDLE) @ matrix[:2, :2].T
        return np.asarray(flat + z * self._turn[:2, 2])

    def paint_backdrop(self) -> None:
        """A room or a garden far out of focus, with some lights in it."""
        rng = self._rng
        first, second = np.array(self._photo.backdrop, np.float32)
        cells = rng.integers(3, 8)
        mix = rng.uniform(0, 1, (cells, cells, 1)).astype(np.float32)
        small = first + (second - first) * mix + rng.normal(0, 0.03, (cells, cells, 3))
        image = cv2.resize(small.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        self.canvas.image[:] = np.clip(image, 0.02, 0.98)
        for _ in range(rng.integers(0, 9)):
            x, y = rng.uniform((-2.6, -2.6), (2.6, 1.5))
            radius = rng.uniform(0.1, 0.35)
            colour = np.clip(second * 1.2 + rng.uniform(0.05, 0.25), 0, 1)
            self.canvas.paint(ellipse(x, y, radius, radius), colour, 0.03, rng.uniform(0.1, 0.4))

    def paint_body(self) -> None:
        """Shoulders and neck, and the hair behind and in front of them."""
        person, photo, canvas = self._person, self._photo, self.canvas
        skin, hair = (np.array(c) * self._level for c in (person.skin, person.hair))
        clothes = np.array(photo.clothes) * self._level
        behind = back_hair(person, photo)
        if behind is not None:
            canvas.paint(self._project(behind, -0.45, 1), hair * 0.62, 0.015)

        half = [
            (0.0, 1.72),
            (0.60, 1.90),
            (1.25, 2.10),
            (1.90, 2.30),
            (2.35, 2.65),
            (2.55, 3.3),
            (2.6, 4),
        ]
        shoulders = self._project(mirrored(spline(half)), -0.35, 0.2)
        body = canvas.full(canvas.mask(shoulders, 0.008))
        half = [(0.64, 0.9), (0.60, 1.6), (0.64, 1.93)]
        depth = self._rng.uniform(2.2, 2.7)
        neckline = spline([(0.64, 1.95), (0.42, 0.5 * depth + 1.06), (0.0, depth)])
        neck = mirrored(np.concatenate([spline(half), neckline]))
        neck = self._project(neck, -0.3, 0.4)
        bare = canvas.full(canvas.mask(neck, 0.010))
        canvas.paint(shoulders, clothes, 0.008)
        dark = -1 if photo.light[0] > 0 else 1
        canvas.paint(ellipse(dark * 2.2, 3.2, 1.3, 1.6), clothes * 0.55, 0.35, 0.8, body)
        canvas.paint(
            ribbon(self._project(mirrored(neckline), -0.3, 0.4), 0.05), clothes * 0.8, 0.02
        )
        canvas.paint(neck, skin * (0.90, 0.85, 0.83), 0.010)
        canvas.paint(
            ellipse(dark * 0.75, 1.7, 0.35, 1.1), skin * (0.55, 0.45, 0.43), 0.14, 0.7, bare
        )
        chin = self._project(ellipse(0, 1.42, 0.85, 0.42), -0.1, 1)
        canvas.paint(chin, skin * (0.48, 0.38, 0.36), 0.09, 0.8, bare)

        if person.hair_style == "long":
            lock = spline([(1.00, 0.6), (1.20, 1.2), (1.24, 2.0), (1.05, 2.9), (0.75, 2.8),
                           (0.84, 1.8), (0.92, 0.9)])  # fmt: skip
            for side in (-1, 1):
                canvas.paint(self._project(lock * (side, 1), -0.3, 0.8), hair * 0.85, 0.015)
                for _ in range(14):
                    x = self._rng.uniform(0.0, 0.3)
                    strand = [(0.96 + x, 0.9), (0.90 + x, 1.8), (0.80 + x, 2.7)]
                    path = self._project(np.array(spline(strand)) * (side, 1), -0.3, 0.8)
                    tone = hair * self._rng.uniform(0.6, 1.3)
                    canvas.paint(ribbon(path, 0.012), tone, 0.008, 0.6)

    def paint_front(self) -> None:
        """A scarf wound around neck and chin."""
        if self._photo.cover != "scarf":
            return
        canvas, colour = self.canvas, np.array(self._photo.cover_colour) * self._level
        y = self._person.mouth_y + 0.30
        for drop, tone in ((0.42, 0.85), (0.0, 1.0)):
            half = [(0.0, 0.02), (0.45, -0.03), (0.82, -0.16), (1.05, -0.20), (1.14, 0.1),
                    (1.02, 0.40), (0.5, 0.62), (0.0, 0.66)]  # fmt: skip
            wrap = mirrored(spline(half)) * (1 + 0.25 * drop, 1) + (0, y + drop)
            wrap = self._project(wrap, -0.05, 0.5)
            canvas.paint(wrap + 0.06 * DOWN, colour * 0.3, 0.05, 0.5)
            canvas.paint(wrap, colour * tone, 0.010)
            inside = canvas.full(canvas.mask(wrap, 0.010))
            for fold in np.linspace(0.10, 0.55, 4):
                bow = [
                    (-1.1, y + drop + fold - 0.28),
                    (0, y + drop + fold),
                    (1.1, y + drop + fold - 0.28),
                ]
                path = self._project(spline(bow), -0.05, 0.5)
                canvas.paint(ribbon(path, 0.035), colour * tone * 0.62, 0.04, 0.7, inside)
