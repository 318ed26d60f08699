"""Who an imaginary person is: the measures and colours that all their photos share.

Lengths are in face units: half the width of an average face. The origin lies between the
eyes, x points right, y down, z towards the camera. The averages follow the mean of dlib's
68 landmarks; the spread around them is wider than nature's, as is usual for drawn faces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]

SKIN_TONES = np.array(
    [
        (0.98, 0.86, 0.78),
        (0.95, 0.78, 0.66),
        (0.89, 0.69, 0.54),
        (0.78, 0.56, 0.40),
        (0.60, 0.40, 0.28),
        (0.42, 0.27, 0.19),
    ]
)
HAIR_COLOURS = np.array(
    [
        (0.07, 0.06, 0.06),
        (0.16, 0.10, 0.07),
        (0.30, 0.19, 0.11),
        (0.48, 0.31, 0.17),
        (0.75, 0.58, 0.34),
        (0.55, 0.22, 0.09),
        (0.62, 0.61, 0.60),
        (0.86, 0.85, 0.83),
    ]
)
EYE_COLOURS = np.array(
    [
        (0.24, 0.13, 0.07),
        (0.40, 0.25, 0.12),
        (0.45, 0.43, 0.24),
        (0.33, 0.45, 0.33),
        (0.36, 0.52, 0.66),
        (0.48, 0.54, 0.58),
    ]
)
# Factor on the nature-like deviations below; caricature makes up for the detail that is missing.
SPREAD = 1.25
HAIR_STYLES = ("bald", "buzz", "short", "quiff", "fringe", "bob", "long", "tied", "afro")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "square")


@dataclass(frozen=True)
class Person:
    """One imaginary person; see the module for units.

    Attributes:
        skin: colour of the skin in even light, sRGB 0…1, as all colours.
        redness: how much cheeks, nose and ears are redder than the rest, 0…1.
        age: 0 (young) … 1 (old): depth of lines and folds.
        freckles: density of freckles, 0…1.
        marks: moles as rows of (x, y, radius).
        asymmetry: how far the two halves of the face differ, in face units.
        chin_y: height of the face below the eyes.
        jaw: squareness of the lower face, exponent of its superellipse.
        taper: how much the face narrows towards the chin, 0…0.3.
        temples: width of the forehead relative to the cheeks.
        cheekbones, chin, brow_ridge: how far they stand out.
        eye_x, eye_y: place of the eyes; eye_width, eye_height: half their opening.
        eye_tilt: rise of the outer corner. lid: distance of the upper lid's crease.
        socket: depth of the eye sockets. iris: colour.
        brow_y, brow_width, brow_arch, brow_tilt: shape of the brows; brow_gap: distance of
            their inner ends from the middle.
        nose_y: height of the nose's base; nose_width: half its width; bridge: half the width
            of its ridge; nose_height: how far the tip stands out; nose_hump, nose_tip.
        mouth_y, mouth_width, upper_lip, lower_lip, bow: shape of the mouth; lips: colour.
        hair_style: one of ``HAIR_STYLES``; hair: colour; hairline: y of its middle;
            recede: how far it goes back at the temples; part: x of the parting;
            volume: thickness of the hair; curl: 0 (straight) … 1.
        beard: one of ``BEARDS``. glasses: one of ``GLASSES``.
        texture: seed of everything that is too small to be named.
    """

    skin: Colour
    redness: float
    age: float
    freckles: float
    marks: tuple[tuple[float, float, float], ...]
    asymmetry: float
    chin_y: float
    jaw: float
    taper: float
    temples: float
    cheekbones: float
    chin: float
    brow_ridge: float
    eye_x: float
    eye_y: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    lid: float
    socket: float
    iris: Colour
    brow_y: float
    brow_width: float
    brow_arch: float
    brow_tilt: float
    brow_gap: float
    nose_y: float
    nose_width: float
    bridge: float
    nose_height: float
    nose_hump: float
    nose_tip: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    bow: float
    lips: Colour
    hair_style: str
    hair: Colour
    hairline: float
    recede: float
    part: float
    volume: float
    curl: float
    beard: str
    glasses: str
    texture: int


def _between(table: NDArray[np.float64], place: float) -> NDArray[np.float64]:
    """The colour at ``place`` (0 … rows - 1) between the rows of ``table``."""
    low = min(int(place), len(table) - 2)
    return np.asarray(table[low] + (place - low) * (table[low + 1] - table[low]))


def _colour(values: NDArray[np.float64]) -> Colour:
    red, green, blue = (float(v) for v in np.clip(values, 0, 1))
    return red, green, blue


def imagine_person(rng: np.random.Generator) -> Person:
    """Make up a person.

    A hidden trait from feminine (0) to masculine (1) ties together what often comes together
    (jaw, brows, lips, hair, beard), so that people look like somebody.
    """

    def normal(mean: float, deviation: float) -> float:
        return mean + SPREAD * deviation * float(np.clip(rng.normal(), -2, 2))

    masculine = float(rng.beta(0.7, 0.7))
    tilt = masculine - 0.5
    tone = float(rng.uniform(0, len(SKIN_TONES) - 1))
    skin = _between(SKIN_TONES, tone) * (1 + rng.normal(0, 0.025, 3))
    age = float(rng.beta(1.2, 2.0))

    # Fair hair and light eyes are drawn on fair skin more often; grey comes with age.
    fair = tone < 2.2
    if rng.random() < 1.4 * (age - 0.35):
        hair = HAIR_COLOURS[rng.integers(6, 8)]
    else:
        hair = HAIR_COLOURS[rng.integers(0, 6) if fair else rng.integers(0, 3)]
    hair = hair * rng.uniform(0.85, 1.15)
    iris = EYE_COLOURS[rng.integers(0, 6) if fair else rng.integers(0, 2)]

    if masculine > 0.5:
        styles = {
            "bald": 0.14,
            "buzz": 0.2,
            "short": 0.3,
            "quiff": 0.2,
            "fringe": 0.06,
            "long": 0.05,
            "afro": 0.05,
        }
        beards = {"none": 0.45, "stubble": 0.17, "moustache": 0.1, "goatee": 0.12, "full": 0.16}
    else:
        styles = {
            "short": 0.08,
            "fringe": 0.17,
            "bob": 0.25,
            "long": 0.27,
            "tied": 0.15,
            "afro": 0.08,
        }
        beards = {"none": 1.0}
    style = str(rng.choice(list(styles), p=list(styles.values())))
    beard = str(rng.choice(list(beards), p=list(beards.values())))
    lipstick = masculine < 0.5 and rng.random() < 0.5
    lips = skin * (0.86, 0.62, 0.62)
    if lipstick:
        lips = 0.45 * lips + 0.55 * np.array((0.72, 0.16, 0.22)) * rng.uniform(0.7, 1.15)

    nose_y = normal(0.66, 0.07)
    mouth_y = nose_y + normal(0.35, 0.045)
    marks = tuple(
        (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.7, 1.4)), float(r))
        for r in rng.uniform(0.014, 0.032, rng.poisson(0.8))
    )
    return Person(
        skin=_colour(skin),
        redness=float(rng.uniform(0.1, 1.0)),
        age=age,
        freckles=float(rng.uniform(0.4, 1.0)) if fair and rng.random() < 0.25 else 0.0,
        marks=marks,
        asymmetry=normal(0.0, 0.012),
        chin_y=max(normal(1.60 + 0.06 * tilt, 0.10), mouth_y + 0.42),
        jaw=normal(2.25 + 0.6 * tilt, 0.3),
        taper=float(np.clip(normal(0.10 - 0.10 * tilt, 0.06), 0.0, 0.25)),
        temples=normal(0.96, 0.04),
        cheekbones=normal(0.07, 0.03),
        chin=normal(0.08 + 0.04 * tilt, 0.03),
        brow_ridge=normal(0.05 + 0.05 * tilt, 0.02),
        eye_x=normal(0.43, 0.035),
        eye_y=normal(0.0, 0.02),
        eye_width=normal(0.185 - 0.02 * tilt, 0.018),
        eye_height=normal(0.100 - 0.02 * tilt, 0.014),
        eye_tilt=normal(0.02, 0.03),
        lid=float(np.clip(normal(0.05, 0.03), 0.0, 0.11)),
        socket=normal(0.09, 0.035),
        iris=_colour(iris * rng.uniform(0.85, 1.15)),
        brow_y=normal(-0.29 + 0.04 * tilt, 0.035),
        brow_width=normal(0.045 + 0.03 * tilt, 0.012),
        brow_arch=normal(0.06 - 0.05 * tilt, 0.025),
        brow_tilt=normal(-0.02, 0.04),
        brow_gap=normal(0.19, 0.035),
        nose_y=nose_y,
        nose_width=normal(0.19 + 0.03 * tilt, 0.03),
        bridge=normal(0.11, 0.018),
        nose_height=normal(0.36, 0.06),
        nose_hump=normal(0.0, 0.035),
        nose_tip=normal(0.07, 0.03),
        mouth_y=mouth_y,
        mouth_width=normal(0.335, 0.04),
        upper_lip=max(normal(0.06 - 0.02 * tilt, 0.02), 0.02),
        lower_lip=max(normal(0.085 - 0.02 * tilt, 0.025), 0.035),
        bow=float(rng.uniform(0.0, 0.03)),
        lips=_colour(lips),
        hair_style=style,
        hair=_colour(hair),
        hairline=normal(-0.88, 0.08),
        recede=float(np.clip(normal(0.10 + 0.2 * tilt * age, 0.08), 0.0, 0.35)),
        part=float(rng.uniform(-0.5, 0.5)),
        volume=normal(0.14, 0.04),
        curl=float(rng.random()) if rng.random() < 0.4 else 0.0,
        beard=beard,
        glasses=str(rng.choice(GLASSES, p=(0.84, 0.08, 0.08))),
        texture=int(rng.integers(2**31)),
    )
