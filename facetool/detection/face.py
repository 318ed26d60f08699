"""What detectors return, and the choice among the faces of a photo."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from facetool.alignment.landmarks import Points, check_points
from facetool.errors import UsageError
from facetool.images.read import RGBImage


class Box(NamedTuple):
    """A rectangle in pixels of the upright photo; right and bottom belong to it, as in dlib."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Pixels covered."""
        return (self.right - self.left + 1) * (self.bottom - self.top + 1)

    @property
    def center(self) -> tuple[float, float]:
        """(x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a photo.

    Attributes:
        box: where it is.
        score: the detector's own confidence; comparable only within one detector.
        landmarks: (5, 2) float64 (eyes, nose, mouth corners as ``x, y``) where the detector
            gives them, else None.
        found: False where no detector found it and it was assumed.
        turn: degrees clockwise by which the photo was turned to find it upright.
    """

    box: Box
    score: float
    landmarks: Points | None = None
    found: bool = True
    turn: int = 0

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, Face) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values)

    @property
    def _values(self) -> tuple[object, ...]:
        """All of it, with bytes for the array, which has neither an equality nor a hash."""
        points = None if self.landmarks is None else np.asarray(self.landmarks).tobytes()
        return self.box, self.score, points, self.found, self.turn


_LARGEST = 10
"""Edge of a face's box that is no mistake yet, in longer sides of its photo."""


def check_face(face: Face, image: RGBImage) -> None:
    """Refuse a face of a caller's own that cannot be one of a photo.

    Args:
        face: whose box need not lie in the photo as a whole.
        image: the photo, uint8 (H, W, 3).

    Raises:
        UsageError: its box is none, or none in the photo, or its landmarks are none.
    """
    box, (height, width) = face.box, image.shape[:2]
    if not isinstance(box, Box) or not all(map(math.isfinite, box)):
        raise UsageError(f"a face has a Box of four finite numbers, not {box}")
    if not (box.left < box.right and box.top < box.bottom):
        raise UsageError(f"left and top of a box are below its right and bottom: {box} is none")
    overlap = box.left < width and box.top < height and box.right > 0 and box.bottom > 0
    edge = max(box.right - box.left, box.bottom - box.top)
    if not overlap or edge > _LARGEST * max(width, height):
        raise UsageError(f"{box} is not in the photo, which is {width}x{height}")
    if face.landmarks is not None:
        check_points(face.landmarks, 5)


class Detector(Protocol):
    """Finds faces in a batch of photos, so that detectors on a GPU can share their passes."""

    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        """The faces of each image, best score first."""


def _largest(faces: Sequence[Face], width: int, height: int) -> list[Face]:
    return sorted(faces, key=lambda face: -face.box.area)[:1]


def _most_central(faces: Sequence[Face], width: int, height: int) -> list[Face]:
    """Largest area minus twice the squared distance to the centre (facenet's rule for LFW)."""

    def rank(face: Face) -> float:
        x, y = face.box.center
        return 2 * ((x - width / 2) ** 2 + (y - height / 2) ** 2) - face.box.area

    return sorted(faces, key=rank)[:1]


def _every(faces: Sequence[Face], width: int, height: int) -> list[Face]:
    return sorted(faces, key=lambda face: -face.box.area)


def _the_only(faces: Sequence[Face], width: int, height: int) -> list[Face]:
    return list(faces) if len(faces) == 1 else []


_SELECTIONS: dict[str, Callable[[Sequence[Face], int, int], list[Face]]] = {
    "largest": _largest,
    "center": _most_central,
    "all": _every,
    "only": _the_only,
}


def select_faces(faces: Sequence[Face], policy: str, image: RGBImage) -> list[Face]:
    """The faces a policy keeps.

    Args:
        faces: as detected.
        policy: ``largest``, ``center`` (large and central), ``all`` (largest first) or ``only``
            (none unless there is exactly one).
        image: the photo they were found in.
    """
    height, width = image.shape[:2]
    return _SELECTIONS[policy](faces, width, height)
