"""The colours of a face: skin, eyes, brows, nose, mouth, beard."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.sample.drawing.canvas import (
    DOWN,
    HEIGHT,
    WIDTH,
    Canvas,
    Pixels,
    ellipse,
    face_canvas,
    mirrored,
    ribbon,
    spline,
)
from facetool.sample.drawing.person import Person
from facetool.sample.drawing.photo import PhotoSettings
from facetool.sample.drawing.relief import CROWN, chin_height, half_width

SIDES = (-1, 1)
_WHITE = (0.93, 0.91, 0.89)
_DARK = (0.10, 0.06, 0.05)


def face_outline(person: Person, photo: PhotoSettings) -> NDArray[np.float64]:
    """The closed outline of head and ears without hair."""
    chin = chin_height(person, photo)
    # Denser towards crown and chin, where the outline runs sideways.
    y = CROWN + (chin - CROWN) * (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 50)))
    return mirrored(np.stack([half_width(person, chin, y), y], 1))


def paint_skin(canvas: Canvas, person: Person, photo: PhotoSettings) -> None:
    """Cover the whole canvas with skin: colour, blush, freckles, moles, lines."""
    canvas.image[:] = _skin(person)
    for side in SIDES:
        _paint_lines(canvas, person, photo, side)


@lru_cache(maxsize=1)
def _skin(person: Person) -> Pixels:
    """What of the skin is the same in all photos of a person."""
    canvas = face_canvas()
    rng = np.random.default_rng(person.texture)
    skin = np.array(person.skin)
    canvas.image[:] = skin.astype(np.float32)
    small = rng.normal(0, 1, (26, 22)).astype(np.float32)
    mottle = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    pores = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH), np.float32), (0, 0), 1.0)
    canvas.image *= (1 + 0.012 * mottle + (0.012 + 0.035 * person.age) * pores)[..., None]

    red = skin * (1.04, 0.80, 0.78)
    for side in SIDES:
        canvas.paint(ellipse(side * 0.60, 0.50, 0.24, 0.20), red, 0.14, 0.6 * person.redness)
        shade = skin * (0.80, 0.72, 0.74)
        canvas.paint(
            ellipse(side * person.eye_x, 0.10, 0.20, 0.10), shade, 0.06, 0.25 + 0.5 * person.age
        )
    canvas.paint(ellipse(0, person.nose_y - 0.1, 0.15, 0.11), red, 0.07, 0.6 * person.redness)

    if person.freckles:
        places = rng.normal((0, 0.28), (0.45, 0.20), (int(130 * person.freckles), 1, 2))
        spots = places + rng.uniform(0.008, 0.02, (len(places), 1, 1)) * ellipse(
            0, 0, 1, 1, points=6
        )
        canvas.paint(spots, skin * (0.80, 0.64, 0.52), 0.004, 0.6)
    for px, py, size in person.marks:
        canvas.paint(ellipse(px, py, size, size, points=10), skin * (0.42, 0.32, 0.30), 0.005, 0.9)
    return canvas.image


def _paint_lines(canvas: Canvas, person: Person, photo: PhotoSettings, side: int) -> None:
    """Folds from nose to mouth, crow's feet and the lines of the forehead."""
    fold = np.array(person.skin) * (0.68, 0.54, 0.50)
    smile = max(photo.smile, 0.0)
    corner = person.mouth_width * (1 + 0.2 * photo.smile)
    start = (side * (person.nose_width + 0.03), person.nose_y - 0.05)
    middle = (side * (corner + 0.09 + 0.03 * smile), 0.5 * (person.nose_y + person.mouth_y))
    end = (side * (corner + 0.12), person.mouth_y + 0.02)
    strength = 0.10 + 0.3 * smile + 0.5 * person.age
    taper = np.sin(np.linspace(0.2, np.pi, 17)) * 0.022
    canvas.paint(ribbon(spline([start, middle, end]), taper), fold, 0.015, strength)
    if person.age > 0.45:
        depth = person.age - 0.2
        for y in (-0.50, -0.62):
            line = spline([(0, y), (side * 0.25, y - 0.02), (side * 0.5, y + 0.03)])
            canvas.paint(ribbon(line, 0.009), fold, 0.012, 0.7 * depth)
        for rise in (-0.06, 0.0, 0.06):
            x = side * (person.eye_x + person.eye_width + 0.06)
            foot = [(x, 0.4 * rise), (x + side * 0.12, 1.3 * rise)]
            canvas.paint(ribbon(foot, 0.007), fold, 0.008, 0.7 * depth)


def _eyelids(person: Person, photo: PhotoSettings, side: int) -> tuple[NDArray[np.float64], ...]:
    """Curves of the upper and lower lid, both from the inner to the outer corner, (17, 2)."""
    t = np.linspace(0, 1, 17)
    x = person.eye_x + person.eye_width * (2 * t - 1)
    base = person.eye_y + side * person.asymmetry - person.eye_tilt * (2 * t - 1)
    opening = person.eye_height * photo.eyes_open * (1 - 0.25 * max(photo.smile, 0))
    upper = base - 1.15 * opening * np.sin(np.pi * t**0.85) ** 0.8
    lower = base + 0.75 * opening * np.sin(np.pi * t**1.15) ** 0.9
    return np.stack([side * x, upper], 1), np.stack([side * x, lower], 1)


def paint_eyes(canvas: Canvas, person: Person, photo: PhotoSettings) -> None:
    """Both eyes with lids and lashes."""
    skin = np.array(person.skin)
    crease = skin * (0.55, 0.42, 0.40)
    iris = np.array(person.iris)
    for side in SIDES:
        upper, lower = _eyelids(person, photo, side)
        opening = np.concatenate([upper, lower[::-1]])
        fold = upper - person.lid * DOWN
        canvas.paint(ribbon(fold, 0.013 * np.sin(np.linspace(0.1, 3, 17))), crease, 0.008, 0.75)
        inside = canvas.full(canvas.mask(opening))
        canvas.paint(opening, _WHITE)
        x, y = _iris(person, photo, side)
        radius = 0.083
        canvas.paint(ellipse(x, y, radius, radius), iris * 0.42, 0.003, within=inside)
        canvas.paint(ellipse(x, y, 0.8 * radius, 0.8 * radius), iris, 0.008, within=inside)
        canvas.paint(
            ellipse(x, y + 0.03, 0.6 * radius, 0.4 * radius), iris * 1.4, 0.012, 0.6, inside
        )
        canvas.paint(ellipse(x, y, 0.036, 0.036), (0.02, 0.02, 0.02), 0.003, within=inside)
        # The lid and its lashes shade the eyeball.
        canvas.paint(ribbon(upper, 0.045), _DARK, 0.018, 0.6, inside)
        corner = side * (person.eye_x - person.eye_width + 0.015)
        canvas.paint(
            ellipse(corner, person.eye_y + person.eye_tilt, 0.02, 0.016),
            skin * (1, 0.7, 0.68),
            0.006,
        )
        lash = np.array((0.016, 0.022, 0.026, 0.028, 0.024))
        thick = np.interp(np.linspace(0, 1, 17), np.linspace(0, 1, 5), lash)
        canvas.paint(ribbon(upper, thick), _DARK, 0.004, 0.95)
        canvas.paint(ribbon(lower + 0.006 * DOWN, 0.008), crease * 0.7, 0.006, 0.8)


def _iris(person: Person, photo: PhotoSettings, side: int) -> tuple[float, float]:
    x = side * person.eye_x + 0.07 * photo.gaze[0]
    return x, person.eye_y + side * person.asymmetry - 0.012 + 0.05 * photo.gaze[1]


def paint_sparkle(canvas: Canvas, person: Person, photo: PhotoSettings, direction: Pixels) -> None:
    """The light mirrored in the eyes; drawn after everything else is lit."""
    for side in SIDES:
        upper, lower = _eyelids(person, photo, side)
        inside = canvas.full(canvas.mask(np.concatenate([upper, lower[::-1]])))
        x, y = _iris(person, photo, side)
        spot = ellipse(x + 0.04 * float(direction[0]), y - 0.03, 0.016, 0.018, points=10)
        canvas.paint(spot, (1, 1, 1), 0.003, 0.9, inside)


def paint_brows(canvas: Canvas, person: Person, photo: PhotoSettings) -> None:
    """Both brows: a soft shape with hairs on it."""
    rng = np.random.default_rng(person.texture + 1)
    colour = np.array(person.hair) * 0.6 + np.array(_DARK) * 0.25
    lift = photo.brow_raise - 0.02 * min(photo.smile, 0)
    for side in SIDES:
        reach = np.linspace(0, 1, 17)
        x = person.brow_gap + reach * (person.eye_x + person.eye_width + 0.08 - person.brow_gap)
        y = person.brow_y - lift + side * person.asymmetry + person.brow_tilt * (0.5 - reach)
        y = y - person.brow_arch * np.sin(np.pi * reach**1.3) + 0.05 * reach**2
        curve = np.stack([side * x, y], 1)
        thick = person.brow_width * np.interp(reach, (0, 0.15, 0.6, 1), (0.6, 1, 0.85, 0.12))
        canvas.paint(ribbon(curve, thick), colour, 0.012, 0.72)
        k = rng.integers(0, 15, 26)
        low, rise = rng.uniform(0, 1.1, 26) * thick[k], rng.uniform(0.2, 1.2, 26) * thick[k]
        root = curve[k] + np.stack([np.zeros(26), low], 1)
        tip = curve[k + 2] - np.stack([np.zeros(26), rise - low], 1)
        hairs = np.stack([root - 0.007 * DOWN, root + 0.007 * DOWN, tip], 1)
        canvas.paint(hairs, colour * 0.7, 0.0, 0.6)


def paint_nose(canvas: Canvas, person: Person) -> None:
    """Nostrils and the crease around the wings; the rest is light and shadow."""
    skin = np.array(person.skin)
    for side in SIDES:
        base, wide = person.nose_y, person.nose_width
        nostril = ellipse(side * 0.52 * wide, base - 0.005, 0.30 * wide, 0.024, -side * 0.25)
        canvas.paint(nostril, skin * (0.30, 0.18, 0.16), 0.010, 0.9)
        wing = [
            (side * (wide - 0.02), base - 0.17),
            (side * (wide + 0.012), base - 0.07),
            (side * (wide - 0.045), base + 0.005),
        ]
        canvas.paint(ribbon(spline(wing), 0.012), skin * (0.62, 0.46, 0.43), 0.012, 0.6)


def paint_mouth(canvas: Canvas, person: Person, photo: PhotoSettings) -> None:
    """Lips, and teeth where the mouth is open."""
    smile, gap = photo.smile, 0.15 * photo.mouth_open
    y0 = person.mouth_y
    wide = person.mouth_width * (1 + 0.17 * smile - 0.15 * photo.mouth_open)
    t = np.linspace(-1, 1, 25)
    x = wide * t
    bend = -0.10 * smile * (t**2 - 0.3) + person.asymmetry * t
    round_ = np.clip(1 - t**2, 0, 1)
    stretch = 1 - 0.25 * max(smile, 0)
    bow = person.bow * np.exp(-((t / 0.16) ** 2))
    top = (
        y0 + bend - person.upper_lip * stretch * (round_**0.8 + 0.35 * (np.abs(t) < 2)) * 0.9 + bow
    )
    top = np.where(np.abs(t) == 1, y0 + bend, top)
    inner_top = y0 + bend - 0.25 * gap * round_ + 0.012 * np.cos(3 * np.pi * t) * round_
    inner_low = inner_top + gap * round_**0.6
    low = y0 + bend + gap * round_**0.6 + 1.25 * person.lower_lip * stretch * round_**0.65

    def outline(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([np.stack([x, first], 1), np.stack([x, second], 1)[::-1]])

    lips = np.array(person.lips)
    canvas.paint(outline(top, inner_top), lips * 0.88, 0.010)
    canvas.paint(outline(inner_low, low), lips, 0.012)
    shine = ellipse(0, float(low[12]) - 0.6 * person.lower_lip, 0.4 * wide, 0.3 * person.lower_lip)
    canvas.paint(shine, np.minimum(lips * 1.2, 1), 0.02, 0.5)
    if gap > 0:
        hole = outline(inner_top, inner_low)
        inside = canvas.full(canvas.mask(hole, 0.004))
        canvas.paint(hole, (0.20, 0.07, 0.07), 0.006)
        teeth = outline(inner_top - 0.02, np.minimum(inner_low, inner_top + 0.085))
        canvas.paint(teeth, (0.90, 0.88, 0.84), 0.006, 0.95, inside)
    line = np.stack([1.04 * x, inner_top], 1)
    canvas.paint(ribbon(line, 0.012), lips * (0.42, 0.34, 0.34), 0.007, 0.85 if gap == 0 else 0.4)
    under = ellipse(0, float(low[12]) + 0.035, 0.5 * wide, 0.02)
    canvas.paint(under, np.array(person.skin) * (0.72, 0.60, 0.58), 0.02, 0.6)


def paint_beard(canvas: Canvas, person: Person, photo: PhotoSettings) -> None:
    """Beard, moustache or stubble, around the mouth."""
    if person.beard == "none":
        return
    chin = chin_height(person, photo)
    y0, wide = person.mouth_y, person.mouth_width * (1 + 0.12 * photo.smile)
    moustache = [
        (0, person.nose_y + 0.07),
        (0.6 * wide, person.nose_y + 0.12),
        (1.15 * wide, y0 - 0.02),
        (1.2 * wide, y0 + 0.08),
        (0.95 * wide, y0 - 0.01),
        (0.4 * wide, y0 - person.upper_lip - 0.02),
        (0, y0 - person.upper_lip + 0.01),
    ]
    goatee = [
        (0, y0 + 1.6 * person.lower_lip + 0.04),
        (0.5 * wide, y0 + 1.5 * person.lower_lip + 0.05),
        (1.0 * wide, y0 + 0.02),
        (1.35 * wide, y0),
        (1.3 * wide, chin - 0.2),
        (0.3, chin + 0.1),
        (0, chin + 0.1),
    ]
    cheeks = [
        (0, y0 + 1.6 * person.lower_lip + 0.05),
        (0.5 * wide, y0 + 1.5 * person.lower_lip + 0.05),
        (1.0 * wide, y0 + 0.02),
        (1.35 * wide, y0 - 0.12),
        (0.72, 0.72),
        (0.88, 0.1),
        (1.2, 0.1),
        (1.2, chin + 0.1),
        (0, chin + 0.1),
    ]
    parts = {
        "stubble": (moustache, cheeks),
        "moustache": (moustache,),
        "goatee": (moustache, goatee),
        "full": (moustache, cheeks),
    }[person.beard]
    colour = np.array(person.hair) * 0.8 + np.array(person.skin) * 0.08
    strength = 0.33 if person.beard == "stubble" else 0.88
    grain = _beard_grain(person)
    strands = np.clip(1 + 0.30 * grain, 0, 2)[..., None] * colour.astype(np.float32)
    for part in parts:
        half = np.array(part)
        mask = canvas.mask(np.concatenate([half, half[::-1] * (-1, 1)]), 0.022)
        cover = mask._replace(
            cover=np.clip(mask.cover * (1 + 0.25 * grain[mask.rows, mask.cols]), 0, 1)
        )
        canvas.blend(cover, strands[mask.rows, mask.cols], strength)


@lru_cache(maxsize=1)
def _beard_grain(person: Person) -> Pixels:
    """Noise drawn out downwards, around 0, (height, width)."""
    rng = np.random.default_rng(person.texture + 2)
    grain = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(grain, (0, 0), sigmaX=0.8, sigmaY=2.0) * np.float32(2.2))
