"""Which faces in the frames of a video are one person's, followed by their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from facetool.detection.face import Box
from facetool.files.align_manifest import AlignRow

_LEAST_OVERLAP = 0.3
"""Intersection over union from which boxes in two frames in a row are of one face, as in SORT
(Bewley et al., Simple online and realtime tracking, 2016). Frames are seldom next to each other
here, so this is less than the 0.5 of the source below."""


class TrackTimes(NamedTuple):
    """When a face was seen, in seconds from the beginning of a video.

    Attributes:
        best: in the frame that shows it best.
        first: in the first frame in a row.
        last: in the last.
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

    Source: Bochinski, Eiselein and Sikora, High-speed tracking-by-detection without using image
    information, 2017. A track ends with the first frame that lacks it.
    """

    def __init__(self) -> None:
        self._last: dict[int, Box] = {}
        self._tracks = 0

    def follow(self, boxes: Sequence[Box], *, cut: bool) -> list[int]:
        """The number of the track of each box of the next frame, from 0.

        Args:
            boxes: of one frame.
            cut: a scene begins with it, and so do all tracks.
        """
        before = {} if cut else self._last
        pairs = [
            (overlap(box, other), number, place)
            for place, box in enumerate(boxes)
            for number, other in before.items()
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
        self._last = dict(zip(numbers, boxes, strict=True))
        return numbers


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes, each left, top, right and bottom."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
