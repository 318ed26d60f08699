"""Hair: the cap around the face and what hangs behind it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.sample.drawing.canvas import (
    Canvas,
    Pixels,
    blurred,
    ellipse,
    face_canvas,
    mirrored,
    spline,
)
from facetool.sample.drawing.person import Person
from facetool.sample.drawing.photo import PhotoSettings
from facetool.sample.drawing.relief import CROWN, chin_height, half_width

# How far down the sides the hair goes, in face units below the eyes.
_LENGTH = {"buzz": 0.05, "short": 0.12, "quiff": 0.10, "fringe": 0.25, "bob": 1.25, "long": 2.2,
           "tied": 0.05, "afro": 0.45}  # fmt: skip


def _volume(person: Person, photo: PhotoSettings) -> float:
    """Thickness of the hair outside the skull."""
    if photo.cover == "hat":
        return 0.05
    factor = {"buzz": 0.2, "tied": 0.4, "afro": 2.4, "quiff": 0.9, "long": 1.2}
    return max(person.volume, 0.05) * factor.get(person.hair_style, 1.0)


def _cap(person: Person, photo: PhotoSettings) -> NDArray[np.float64]:
    """The outline of all hair seen from the front, as if the face were covered."""
    volume = _volume(person, photo)
    chin = chin_height(person, photo)
    end = _LENGTH[person.hair_style]
    y = CROWN + (min(end, 0.2) - CROWN) * np.linspace(0, 1, 24) ** 2  # denser at the crown
    width = half_width(person, chin, y)
    down = np.clip((y - CROWN) / 0.9, 0, 1)
    # The hair is a larger copy of the skull, lifted at the top; short hair tapers at the ears.
    taper = 1.0 if end > 0.3 else np.clip((end + 0.02 - y) / 0.55, 0, 1)
    side = np.stack([width * (1 + volume * taper), y - volume * (1.3 - down)], 1)
    if end > 0.3:
        low = np.linspace(0.3, end, 8)[1:]
        side = np.concatenate([side, np.stack([np.full(7, side[-1, 0] + 0.05), low], 1)])
    if person.hair_style == "quiff" and photo.cover != "hat":
        side[:16, 1] -= 0.16 * np.cos(np.linspace(0, np.pi / 2, 16))
    return mirrored(side)


def _opening(person: Person, photo: PhotoSettings) -> NDArray[np.float64]:
    """The outline of the face between the hair."""
    style, top = person.hair_style, person.hairline
    long = _LENGTH[style] > 0.3
    ear = 0.86 if long else 1.02

    def side(sign: int) -> list[tuple[float, float]]:
        temple = (sign * 0.62, top + 0.06 - person.recede)
        if style == "fringe":
            temple = (sign * 0.66, -0.46)
        elif long or style == "short":
            # Parted hair falls lower on the side away from the parting.
            away = abs(sign * 0.6 - person.part)
            temple = (sign * 0.60, top + 0.02 + 0.18 * away - 0.5 * person.recede)
        return [
            temple,
            (sign * 0.84, -0.52),
            (sign * 0.90, -0.15),
            (sign * ear, 0.15),
            (sign * (0.9 if long else 1.3), 0.5),
            (sign * (0.97 if long else 1.3), 1.1),
            (sign * (1.05 if long else 1.3), 2.6),
        ]

    middle = [(0.0, -0.45)] if style == "fringe" else [(0.6 * person.part, top)]
    curve = side(-1)[::-1] + middle + side(1)
    return spline(curve, 6)


@lru_cache(maxsize=1)
def _strands(person: Person) -> Pixels:
    """Brightness of the strands, around 1, (height, width)."""
    canvas = face_canvas()
    rng = np.random.default_rng(person.texture + 3)
    height, width = canvas.image.shape[:2]
    small = rng.normal(0, 1, (height // 4, width // 4)).astype(np.float32)
    wobble = cv2.resize(cv2.GaussianBlur(small, (0, 0), 2.0), (width, height)) * 3
    x, y = canvas.x - np.float32(0.6 * person.part), canvas.y - np.float32(CROWN - 0.1)
    # Strands run from the parting outwards and down.
    angle = np.arctan2(x, np.abs(y) + np.float32(0.25))
    waves = angle * 60 + wobble * np.float32(0.8 + 5 * person.curl)
    table = cv2.GaussianBlur(rng.normal(0, 1, (1, 512)).astype(np.float32), (0, 0), 0.9)
    place = np.mod(waves * 3 + 256, 511).astype(np.float32)
    strands = cv2.remap(table, place, np.zeros_like(place), cv2.INTER_LINEAR)
    return np.asarray(1 + np.float32(0.22) * strands + np.float32(0.16 * person.curl) * wobble)


def paint_hair(canvas: Canvas, person: Person, photo: PhotoSettings, face: Pixels) -> Pixels:
    """Paint the hair in front and return how much it covers, (height, width).

    Outside ``face``, the cover of head and ears, all is hair: its soft edge shows no skin.
    """
    if person.hair_style == "bald":
        return np.zeros(canvas.image.shape[:2], np.float32)
    buzz = person.hair_style == "buzz"
    soft = 0.045 if buzz else 0.012 + 0.02 * person.curl
    cover = canvas.full(canvas.mask(_cap(person, photo), 0.02 if person.curl > 0.3 else 0.008))
    cover *= 1 - canvas.full(canvas.mask(_opening(person, photo), soft))
    if person.hair_style == "tied" and photo.cover != "hat":
        bun = canvas.mask(ellipse(0, CROWN - 0.22, 0.32, 0.26), 0.01)
        cover = np.maximum(cover, canvas.full(bun))
    strands = _strands(person)
    shade = 1 - blurred(cover, 6)
    colour = np.array(person.hair, np.float32)
    image = (strands * (1 - 0.35 * shade))[..., None] * colour
    alpha = np.maximum(cover * np.float32(0.8 if buzz else 1.0), 1 - face)[..., None]
    # A soft shadow of the hair on the skin.
    canvas.image *= 1 - 0.35 * ((1 - shade) * (1 - cover))[..., None]
    canvas.image += (image - canvas.image) * alpha
    return cover


def back_hair(person: Person, photo: PhotoSettings) -> NDArray[np.float64] | None:
    """The outline of the hair behind neck and shoulders, or None if it is short."""
    if person.hair_style not in ("bob", "long"):
        return None
    end = _LENGTH[person.hair_style] + 0.1
    wide = 1.06 + _volume(person, photo)
    half = [(0, -1.3), (0.7, -1.1), (0.97, -0.4), (wide, 0.3), (wide + 0.06, 0.75 * end),
            (wide - 0.1, end), (0.5, end + 0.08), (0, end)]  # fmt: skip
    return mirrored(spline(half, 6))
