"""The shape of a head as a height field over the face plane, and the light on it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.sample.drawing.canvas import Canvas, Pixels, blurred
from facetool.sample.drawing.person import Person
from facetool.sample.drawing.photo import PhotoSettings

CROWN = -1.42
WIDEST = 0.15
DEPTH = 0.85


def chin_height(person: Person, photo: PhotoSettings) -> float:
    """y of the chin: an open mouth lowers the jaw."""
    return person.chin_y + 0.14 * photo.mouth_open


def half_width(person: Person, chin: float, y: NDArray[Any]) -> NDArray[Any]:
    """Half the width of the head without hair at the heights ``y``."""
    t = np.clip((y - WIDEST) / (chin - WIDEST), 0, 1)
    lower = (1 - t**2.2) ** (1 / person.jaw) * (1 - person.taper * t)
    s = np.clip((WIDEST - y) / (WIDEST - CROWN), 0, 1)
    narrow = (1 - person.temples) * np.sin(np.pi * np.minimum(1.3 * s, 1))
    upper = (1 - s**2.6) ** (1 / 2.4) * (1 - narrow)
    return np.where(y > WIDEST, lower, upper)


def relief(canvas: Canvas, person: Person, photo: PhotoSettings) -> Pixels:
    """Height of the face towards the camera in face units, (height, width)."""
    x, y = canvas.x, canvas.y
    chin = chin_height(person, photo)
    width = np.maximum(half_width(person, chin, y), 1e-3)
    profile = np.sqrt(np.clip(1 - np.abs((y - 0.15) / 1.6) ** 4, 0, 1))
    across = (x / width) ** 2
    z = DEPTH * profile * np.sqrt(np.clip(1 - across * (0.8 + 0.2 * across), 0, 1))

    for px, py, sx, sy, height in _bumps(person, photo):
        columns = np.exp(-(((x - px) / sx) ** 2))
        if px:
            columns += np.exp(-(((x + px) / sx) ** 2))
        z += np.float32(height) * np.exp(-(((y - py) / sy) ** 2)) * columns
    _add_nose(z, canvas, person)
    return np.asarray(cv2.GaussianBlur(z, (0, 0), 1.4))


def _bumps(person: Person, photo: PhotoSettings) -> list[tuple[float, float, float, float, float]]:
    """Gaussian bumps as (x, y, width, height, rise); those off the middle are on both sides."""
    smile = max(photo.smile, 0.0)
    mouth, upper, lower = person.mouth_y, person.upper_lip, person.lower_lip
    corner = person.mouth_width * (1 + 0.15 * photo.smile)
    chin = chin_height(person, photo)
    return [
        (0.40, person.brow_y + 0.03, 0.30, 0.10, person.brow_ridge),
        (person.eye_x - 0.03, 0.01, 0.22, 0.14, -person.socket),
        (0.20, -0.02, 0.09, 0.13, -0.5 * person.socket),
        (person.eye_x, person.eye_y, 0.15, 0.12, 0.06),
        (person.eye_x, 0.20, 0.17, 0.04, -0.015 - 0.03 * person.age),
        (0.62, 0.42 - 0.05 * smile, 0.26, 0.18, person.cheekbones + 0.05 * smile),
        (0.62, 0.88, 0.20, 0.20, -0.03 - 0.03 * person.age),
        (0.0, mouth, 0.36, 0.22, 0.07),
        (corner + 0.03, mouth, 0.05, 0.07, -0.03),
        (0.0, mouth - 0.55 * upper, 0.6 * corner, upper, 0.035),
        (0.0, mouth + lower, 0.55 * corner, lower, 0.05),
        (0.0, mouth + 2.2 * lower + 0.04, 0.22, 0.06, -0.05),
        (0.0, chin - 0.16, 0.22, 0.14, person.chin),
        (0.0, 0.5 * (person.nose_y + mouth) - 0.02, 0.045, 0.09, -0.02),
    ]


def _add_nose(z: Pixels, canvas: Canvas, person: Person) -> None:
    x, y = canvas.x, canvas.y
    base, tip = person.nose_y, person.nose_y - 0.10
    rows = slice(*np.searchsorted(y[:, 0], (-0.45, base + 0.25)))
    y = y[rows]
    s = np.clip((y + 0.20) / (tip + 0.20), 0, 1)
    ridge = person.nose_height * (0.10 + 0.90 * s**1.2)
    ridge = ridge + person.nose_hump * np.exp(-(((s - 0.45) / 0.2) ** 2))
    ridge *= np.clip((y + 0.45) / 0.25, 0, 1)
    under = np.clip((y - tip) / 0.15, 0, 1)
    ridge *= 1 - under * under * (3 - 2 * under)
    spread = person.bridge * (1 + 0.45 * s)
    z[rows] += ridge * np.exp(-((x / spread) ** 2))
    wing = np.exp(-(((y - base + 0.06) / 0.075) ** 2))
    side = 0.78 * person.nose_width
    z[rows] += 0.13 * wing * np.exp(-(((np.abs(x) - side) / 0.065) ** 2))
    ball = np.exp(-(((y - tip - 0.01) / 0.10) ** 2)) * np.exp(
        -((x / (0.62 * person.nose_width)) ** 2)
    )
    z[rows] += person.nose_tip * ball


def light(
    canvas: Canvas, z: Pixels, hair: Pixels, photo: PhotoSettings, direction: Pixels
) -> tuple[Pixels, Pixels]:
    """Light that reaches each pixel, and its mirror reflection.

    Args:
        canvas: gives the coordinates.
        z: height field, (height, width).
        hair: cover of the hair, which is lit as a ball instead of by ``z``.
        photo: strength of the lights.
        direction: unit vector towards the main light, in the coordinates of the face.

    Returns:
        Diffuse light (height, width, 3) and reflection (height, width).
    """
    lx, ly, lz = (float(v) for v in direction)
    step = np.float32(canvas.scale / 8)
    dx = cv2.Sobel(z, cv2.CV_32F, 1, 0, ksize=3) * -step
    dy = cv2.Sobel(z, cv2.CV_32F, 0, 1, ksize=3) * -step
    dx += hair * (0.75 * canvas.x - dx)
    dy += hair * (0.6 * (canvas.y + 0.2) - dy)
    length = np.sqrt(dx * dx + dy * dy + 1)
    facing = (dx * lx + dy * ly + lz) / length

    # Half way between light and camera (0, 0, 1): Blinn's highlight.
    half = np.array((lx, ly, lz + 1))
    hx, hy, hz = half / np.linalg.norm(half)
    shine = np.clip((dx * np.float32(hx) + dy * np.float32(hy) + np.float32(hz)) / length, 0, 1)
    shine = cv2.pow(shine, 20)

    open_sky = 1 - np.clip(5 * (blurred(z, 0.094 * canvas.scale) - z), 0, 0.55) * (1 - hair)
    lit = _unshadowed(canvas, z, lx, ly, lz)
    key = np.float32(photo.key)
    ambient = np.float32(photo.ambient) * open_sky * (0.9 - 0.18 * dy / length)
    # Light travels under the skin, red farthest, so shadows have a soft, warm edge.
    diffuse = np.empty((*z.shape, 3), np.float32)
    for channel, wrap in enumerate((0.30, 0.18, 0.12)):
        direct = np.clip((facing + np.float32(wrap)) / np.float32(1 + wrap), 0, 1)
        diffuse[..., channel] = ambient + key * lit * direct
    diffuse *= np.array((1 + 0.08 * photo.warmth, 1.0, 1 - 0.10 * photo.warmth), np.float32)
    return diffuse, shine * lit * key


def _unshadowed(canvas: Canvas, z: Pixels, lx: float, ly: float, lz: float) -> Pixels:
    """1 where the main light arrives, 0 where another part of the face is in its way."""
    height, width = z.shape
    small = cv2.resize(z, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    blocked = np.zeros_like(small)
    for distance in (0.07, 0.14, 0.24):
        step = -distance * canvas.scale / 2
        shift = np.array([[1, 0, step * lx], [0, 1, step * ly]])
        towards = cv2.warpAffine(small, shift, small.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        np.maximum(blocked, towards - small - np.float32(distance * lz), out=blocked)
    shadow = cv2.GaussianBlur(np.clip(blocked * 12, 0, 1), (0, 0), 0.014 * canvas.scale)
    return 1 - 0.75 * cv2.resize(shadow, (width, height), interpolation=cv2.INTER_LINEAR)
