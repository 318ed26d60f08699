"""Frames of videos, decoded by the FFmpeg that OpenCV comes with."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import ImageError, UsageError
from facetool.files.input_file import check_regular
from facetool.files.text import printable
from facetool.images.choices import DEFAULT_EVERY, SCENE
from facetool.images.formats import (
    IMAGE_HEAD_BYTES,
    VIDEO,
    kind_by_content,
    kind_by_name,
    sniff,
)
from facetool.images.inputs import Images
from facetool.images.read import RGBImage, check_pixels, silent_opencv

_CUT = 0.3
"""Change from which a scene begins. In two real clips with eight cuts, some of them dark or in
motion, it is 0.33 or more at each cut, and 0.25 or less from any other frame to the next."""

_BLOCKS = 4
"""Along each edge of a frame."""

_WHOLE = 0.9
"""Share of the frames that a file says it has, below which its end is missing if so much of its
time is missing as well: not all formats count frames exactly, or at all where their rate varies."""

_FFMPEG = {
    # A file from a stranger may name others to be opened, on the net too: a playlist does.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file|"
    "format_whitelist;mov,matroska,avi,mpeg,mpegvideo,mpegts,asf,flv",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # what it has to say becomes an error, and no lines on stderr
}
_ENVIRONMENT = threading.Lock()

_LONGEST = 86_400
"""Seconds that a frame may last."""

_TICK = 0.0005
"""Seconds by which a time may be rounded."""


class VideoFrame(NamedTuple):
    """A frame of a video.

    Attributes:
        time: in seconds from the beginning.
        pixels: uint8 (H, W, 3), RGB, upright.
        cut: a scene begins with it: it looks quite unlike the frame read before, or is the first.
    """

    time: float
    pixels: RGBImage
    cut: bool


class Video:
    """A video file, read frame by frame from its beginning.

    Only files whose first bytes are those of a container of videos are opened, and nothing that
    such a file may lead to.

    Args:
        path: the file.
        every: see :func:`check_every`.

    Attributes:
        truncated: the end of the file is missing; known when all frames have been read.
        seconds: how long it is, as far as the file says; 0 where it does not.

    Raises:
        ImageError: it cannot be read, is no video, or its frames are larger than images may be.
    """

    def __init__(self, path: Path, every: float | str = DEFAULT_EVERY) -> None:
        self._every = every
        self._capture = _open(path)
        self.truncated = False
        self.seconds = _stated_seconds(self._capture)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *exception: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[VideoFrame]:
        """The chosen frames; of the others none is converted to pixels, unless for its scene.

        Raises:
            ImageError: there is none.
        """
        scenes = self._every == SCENE
        due = 0.0
        shades = None
        for time in self._times():
            if time < due - _TICK:
                continue
            pixels = self._pixels()
            before, shades = shades, _shades(pixels)
            cut = before is None or _change(before, shades) > _CUT
            if cut or not scenes:
                yield VideoFrame(round(time, 3), pixels, cut)
            if not scenes:
                step = float(self._every)
                due = (math.floor((time + _TICK) / step) + 1) * step

    def _times(self) -> Iterator[float]:
        """The time of each frame in turn, in seconds; never backwards."""
        import cv2

        stated = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        step = 1 / max(self._capture.get(cv2.CAP_PROP_FPS), 1.0)
        count, time = 0, -step
        while self._capture.grab():
            found = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # Some frames have no time of their own, and damage may give them any.
            known = max(time, 0) < found < time + _LONGEST
            time = found if known else time + step
            count += 1
            yield time
        if not count:
            raise ImageError(
                "no frame of the video can be read: it is damaged, or of a codec that OpenCV's "
                f"FFmpeg lacks ({self._codec()}); convert it to H.264"
            )
        ends_early = time + step < _WHOLE * stated * step
        self.truncated = count < _WHOLE * stated and ends_early

    def _codec(self) -> str:
        """Four letters, such as ``av01``."""
        import cv2

        number = int(self._capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        return printable(number.to_bytes(4, "little").decode("latin-1"))

    def _pixels(self) -> RGBImage:
        import cv2

        read, pixels = self._capture.retrieve()
        if not read:
            raise ImageError("damaged video: a frame cannot be decoded")
        check_pixels(pixels.shape[1::-1])  # a frame may have another size than the video
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def check_every(every: float | str) -> None:
    """Which frames of a video are read: seconds from one to the next, or the first of each scene.

    Raises:
        UsageError: it is neither.
    """
    if every == SCENE:
        return
    if isinstance(every, str) or not 0 < every < math.inf:
        raise UsageError(
            f"every={every!r}: give seconds between frames, or {SCENE!r}", f"every={every!r}"
        )


def is_video(path: Path) -> bool:
    """Whether a file is a video: by its content, also under the name of an image, and by its suffix
    where the content says nothing."""
    if kind_by_name(path.name) == "":
        return False
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return kind_by_content(path.name, file.read(IMAGE_HEAD_BYTES)) == VIDEO
    except OSError:  # whoever reads it will say so
        return False


def videos_among(images: Images, names: Sequence[str]) -> frozenset[str]:
    """Which of these names are of videos; each of the files is opened."""
    if not images.place.is_dir():
        return frozenset()
    return frozenset(name for name in names if is_video(images.place / name))


def _open(path: Path) -> Any:
    """What reads the video, a ``cv2.VideoCapture``."""
    import cv2

    # Of an absolute path no part is taken for a protocol. One thread: workers keep the cores busy,
    # and each thread holds frames.
    place = str(path.absolute())
    try:
        check_regular(path)
        with path.open("rb") as file:
            _check_head(file.read(IMAGE_HEAD_BYTES))
            if not _is_utf8(place):  # OpenCV would end the process
                place = f"/dev/fd/{file.fileno()}"
            with _settings_of_ffmpeg(), silent_opencv():
                capture = cv2.VideoCapture(place, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    if not capture.isOpened():
        raise ImageError("damaged video, or a file without one")
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # as telephones were held
    width, height = (
        int(capture.get(edge)) for edge in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    try:
        check_pixels((width, height))
    except ImageError:
        capture.release()
        raise
    return capture


def _stated_seconds(capture: Any) -> float:
    import cv2

    frames, rate = (capture.get(one) for one in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
    known = 0 < frames < _LONGEST * 1000 and 0 < rate < math.inf
    return float(frames / rate) if known else 0.0


def _check_head(head: bytes) -> None:
    """Refuse what does not begin as a container of videos does."""
    if not head:
        raise ImageError("the file is empty")
    if sniff(head) != VIDEO:
        raise ImageError(
            "not a video: it does not begin as MP4, QuickTime, Matroska, WebM, AVI, MPEG, Windows "
            "Media or Flash Video do"
        )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _settings_of_ffmpeg() -> Iterator[None]:
    """OpenCV takes them from the environment only, while it opens a file."""
    with _ENVIRONMENT:
        before = {name: os.environ.get(name) for name in _FFMPEG}
        os.environ.update(_FFMPEG)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _shades(pixels: RGBImage) -> NDArray[np.float64]:
    """Share of pixels of each of 16 shades of gray in each block of a frame (16, 16)."""
    import cv2

    step = max(1, max(pixels.shape) // 160)
    gray = cv2.cvtColor(np.ascontiguousarray(pixels[::step, ::step]), cv2.COLOR_RGB2GRAY)
    rows = np.array_split(np.asarray(gray, np.uint8) >> 4, _BLOCKS)
    blocks = [block.ravel() for row in rows for block in np.array_split(row, _BLOCKS, axis=1)]
    return np.stack([np.bincount(one, minlength=16) / max(one.size, 1) for one in blocks])


def _change(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Share of pixels that have another shade, at least, in the median block.

    What moves changes some blocks and a cut all of them: Nagasaka and Tanaka, Automatic video
    indexing and full-video search for object appearances, 1992, leave half of the blocks out.
    """
    return float(np.median(np.abs(after - before).sum(axis=1) / 2))
