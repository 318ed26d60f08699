"""How one photo was taken: everything that differs between two photos of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facetool.sample.drawing.person import Colour

COVERS = ("none", "sunglasses", "scarf", "hat")


@dataclass(frozen=True)
class PhotoSettings:
    """One photo; angles in degrees, lengths in face units unless said otherwise.

    Attributes:
        yaw, pitch, roll: pose of the head; positive yaw turns it to the right of the image,
            positive pitch down, positive roll clockwise.
        zoom: pixels per face unit. centre: place of the face in pixels.
        light: direction towards the main light. key, ambient: strength of the light from
            there and from all around. warmth: -1 (blue) … 1 (yellow).
        smile: -0.5 (sad) … 1. mouth_open: 0…1. eyes_open: 0.5…1.1. brow_raise: face units.
        gaze: shift of the irises, -1…1.
        cover: one of ``COVERS``. cover_colour, clothes: colours.
        glasses_on: whether a person who has glasses wears them.
        backdrop: two colours. exposure: factor on the brightness. blur: sigma in pixels.
        noise: standard deviation, in 8-bit steps.
        quality: of the JPEG, 0…100.
        texture: seed of background, noise and other details.
    """

    yaw: float
    pitch: float
    roll: float
    zoom: float
    centre: tuple[float, float]
    light: tuple[float, float, float]
    key: float
    ambient: float
    warmth: float
    smile: float
    mouth_open: float
    eyes_open: float
    brow_raise: float
    gaze: tuple[float, float]
    cover: str
    cover_colour: Colour
    clothes: Colour
    glasses_on: bool
    backdrop: tuple[Colour, Colour]
    exposure: float
    blur: float
    noise: float
    quality: int
    texture: int


def _colour(rng: np.random.Generator, low: float, high: float, vivid: float) -> Colour:
    """A random colour of brightness ``low`` … ``high``, from grey (vivid 0) to pure (1)."""
    grey = rng.uniform(low, high)
    red, green, blue = (float(v) for v in np.clip(grey + vivid * rng.uniform(-0.5, 0.5, 3), 0, 1))
    return red, green, blue


def imagine_photo(rng: np.random.Generator) -> PhotoSettings:
    """Make up the circumstances of a photo."""

    def normal(deviation: float, limit: float) -> float:
        return float(np.clip(rng.normal(0, deviation), -limit, limit))

    azimuth, height = np.radians(rng.uniform(-65, 65)), np.radians(rng.uniform(0, 60))
    light = (
        float(np.sin(azimuth) * np.cos(height)),
        float(-np.sin(height)),
        float(np.cos(azimuth) * np.cos(height)),
    )
    smile = float(rng.uniform(-0.3, 1.1))
    talks = rng.random() < 0.35
    return PhotoSettings(
        yaw=normal(13, 27),
        pitch=normal(6, 13),
        roll=normal(6, 15),
        zoom=float(rng.uniform(44, 52)),
        centre=(125 + normal(5, 10), 118 + normal(5, 10)),
        light=light,
        key=float(rng.uniform(0.5, 1.05)),
        ambient=float(rng.uniform(0.28, 0.6)),
        warmth=normal(0.4, 1.0),
        smile=smile,
        mouth_open=float(rng.uniform(0.15, 1.0)) if talks else 0.0,
        eyes_open=float(rng.uniform(0.75, 1.1)),
        brow_raise=normal(0.025, 0.05),
        gaze=(normal(0.3, 0.7), normal(0.12, 0.3)),
        cover=str(rng.choice(COVERS, p=(0.84, 0.05, 0.05, 0.06))),
        cover_colour=_colour(rng, 0.15, 0.7, 0.6),
        clothes=_colour(rng, 0.1, 0.85, 0.45),
        glasses_on=bool(rng.random() < 0.85),
        backdrop=(_colour(rng, 0.15, 0.9, 0.2), _colour(rng, 0.15, 0.9, 0.2)),
        exposure=float(rng.uniform(0.82, 1.12)),
        blur=float(rng.uniform(0.0, 1.0)),
        noise=float(rng.uniform(1.0, 5.0)),
        quality=int(rng.integers(80, 96)),
        texture=int(rng.integers(2**31)),
    )
