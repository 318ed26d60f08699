"""From videos to one crop of each face, however many frames show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from facetool.cropping.face_cropper import NO_FACE, FaceCropper, LocatedFace
from facetool.cropping.photo_cropper import CroppedPhoto, crop_in_batches
from facetool.detection.tracks import BoxTracker, TrackTimes
from facetool.errors import ImageError
from facetool.files.text import counted
from facetool.images.read import TRUNCATED, RGBImage
from facetool.images.video import Video
from facetool.jobs.progress import progress_bar
from facetool.jobs.stopwatch import Stopwatch

Rank: TypeAlias = Callable[[LocatedFace, RGBImage], Any]
"""Of a face and its crop: the highest of a track stands for it."""


@dataclass(frozen=True)
class FaceTrack:
    """A face through frames of a video, as the best of them shows it.

    Attributes:
        located: the face in that frame, and its landmarks.
        crop: uint8 (H, W, 3).
        times: of the frames.
        detected: number of all faces in the best frame.
    """

    located: LocatedFace
    crop: RGBImage
    times: TrackTimes
    detected: int


def by_score(located: LocatedFace, crop: RGBImage) -> tuple[float, float]:
    """Rank by the detector's score, which says more of a face than what else ``align.csv`` has
    (docs/accuracy.md), and among equals by size."""
    return located.face.score, located.face.box.area


@dataclass
class VideoCropper:
    """Follows the faces of a video, and cuts each out once.

    A face is followed through all frames, and cut out where the cropper's policy chooses it.

    Args:
        path: the video.
        every: which frames, see :func:`facetool.images.video.check_every`.
        cropper: finds the faces and cuts them out.
        rank: says how good a face is.

    Attributes:
        remarks: what a user should know of how it was read and searched.
        frames: number of those that were searched.
    """

    path: Path
    every: float | str
    cropper: FaceCropper
    rank: Rank = by_score
    remarks: list[str] = field(default_factory=list, init=False)
    frames: int = field(default=0, init=False)

    @property
    def missed(self) -> str:
        """What there is to say where no face was found."""
        return f"{NO_FACE} in {counted(self.frames, 'frame')}"

    def __iter__(self) -> Iterator[FaceTrack]:
        """The tracks in the order in which they end.

        Raises:
            ImageError: the video cannot be read, or none of its frames can be searched.
        """
        tracker, open_tracks = BoxTracker(), dict[int, _OpenTrack]()
        errors = []
        for frame in crop_in_batches(self.cropper, self._read(), Stopwatch()):
            errors += [frame.error] * bool(frame.error)
            boxes = [face.box for face in frame.detected]
            numbers = tracker.follow(boxes, time=frame.time, cut=frame.cut)
            for number in sorted(open_tracks.keys() - tracker.open):
                yield from open_tracks.pop(number).close()
            for number in numbers:
                open_tracks.setdefault(number, _OpenTrack(frame.time)).last = frame.time
            places = {id(face): n for face, n in zip(frame.detected, numbers, strict=True)}
            for located, crop in zip(frame.located.faces, frame.crops, strict=False):
                if located.face.found:
                    track = open_tracks[places[id(located.face)]]
                    track.offer(self.rank(located, crop), located, crop, frame)
        for track in open_tracks.values():
            yield from track.close()
        if errors and len(errors) == self.frames:
            raise ImageError(errors[0])

    def _read(self) -> Iterator[_Frame]:
        with (
            Video(self.path, self.every) as video,
            progress_bar(self.path.name, round(video.seconds) or None, unit="s") as bar,
        ):
            seconds = 0
            for time, pixels, cut in video:
                bar.update(int(time) - seconds)
                seconds = int(time)
                if not self.frames and (remark := self.cropper.remark(pixels)):
                    self.remarks.append(remark)
                self.frames += 1
                yield _Frame("", pixels, time=time, cut=cut)
            if video.truncated:
                self.remarks.append(TRUNCATED)


@dataclass
class _Frame(CroppedPhoto):
    time: float = 0.0
    cut: bool = False


@dataclass
class _OpenTrack:
    """A track that may go on."""

    first: float
    last: float = 0.0
    _best: tuple[Any, FaceTrack] | None = None

    def offer(self, rank: Any, located: LocatedFace, crop: RGBImage, frame: _Frame) -> None:
        """Another frame's face, which stands for the track where it is better."""
        if self._best is None or rank > self._best[0]:
            times = TrackTimes(frame.time, self.first, frame.time)
            self._best = rank, FaceTrack(located, crop, times, len(frame.detected))

    def close(self) -> Iterator[FaceTrack]:
        """The track, if there is a crop of it."""
        if self._best is not None:
            track = self._best[1]
            times = track.times._replace(last=self.last)
            yield FaceTrack(track.located, track.crop, times, track.detected)
