"""Which faces in the frames of a video are one person's, followed by their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from facetool.detection.face import Box
from facetool.files.align_manifest import AlignRow

_LEAST_OVERLAP = 0.2
"""Intersection over union from which two boxes are of one face. SORT (Bewley et al., Simple online
and realtime tracking, 2016) takes 0.3, and the source below 0.5, from one frame to the next: here
half a second lies between frames, and heads move."""

_OPEN = 1.1
"""Seconds for which a face may be missed: a second, the 30 frames of DeepSORT (Wojke et al., Simple
online and realtime tracking with a deep association metric, 2017), and a frame. For longer ones
somebody else would more often be in that place by then."""


class TrackTimes(NamedTuple):
    """When a face was seen, in seconds from the beginning of a video.

    Attributes:
        best: in the frame that shows it best.
        first: in its first frame.
        last: in its last one.
    """

    best: float
    first: float
    last: float

    def __str__(self) -> str:
        return f"{self.best:g} s ({self.first:g} to {self.last:g})"

    def as_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return {"time": self.best, "first": self.first, "last": self.last}


def times_of(row: AlignRow) -> TrackTimes | None:
    """When the face of a row of ``align.csv`` is seen; None where it is of a photo."""
    return TrackTimes(*map(float, (row.time, row.first, row.last))) if row.time else None


class BoxTracker:
    """Follows boxes from frame to frame: those that overlap most belong together.

    A track that is missed in a frame stays where it was for a second, or until the next frame.

    Source: Bochinski, Eiselein and Sikora, High-speed tracking-by-detection without using image
    information, 2017.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Box, float]] = {}
        self._before = 0.0
        self._tracks = 0

    @property
    def open(self) -> frozenset[int]:
        """Numbers of the tracks that may go on."""
        return frozenset(self._seen)

    def follow(self, boxes: Sequence[Box], *, time: float, cut: bool) -> list[int]:
        """The number of the track of each box of the next frame, from 0.

        Args:
            boxes: of one frame.
            time: of the frame, in seconds.
            cut: a scene begins with it, and so do all tracks.
        """
        open_from = min(self._before, time - _OPEN)
        self._seen = {
            number: (box, seen)
            for number, (box, seen) in self._seen.items()
            if not cut and seen >= open_from
        }
        self._before = time
        pairs = [
            (overlap(box, other), number, place)
            for place, box in enumerate(boxes)
            for number, (other, _) in self._seen.items()
        ]
        found: dict[int, int] = {}
        taken: set[int] = set()
        for share, number, place in sorted(pairs, key=lambda pair: -pair[0]):
            if share >= _LEAST_OVERLAP and place not in found and number not in taken:
                found[place] = number
                taken.add(number)
        for place in range(len(boxes)):
            if place not in found:
                found[place] = self._tracks
                self._tracks += 1
        numbers = [found[place] for place in range(len(boxes))]
        self._seen.update((n, (box, time)) for n, box in zip(numbers, boxes, strict=True))
        return numbers


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes, each left, top, right and bottom."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
