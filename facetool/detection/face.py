"""What detectors return, and the choice among the faces of a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from facetool.alignment.landmarks import Points
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


@dataclass(frozen=True)
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
