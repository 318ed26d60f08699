"""Small videos of imaginary people."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.sample.album import draw_image

Pixels = NDArray[np.uint8]
SEED = 7
GRAY = 128


def person(number: int, photo: int = 0) -> Pixels:
    """RGB (250, 250, 3)."""
    return draw_image(SEED, number, photo)[0]


def scene(
    *people: tuple[int, int, int], frames: int, width: int = 720, gray: int = GRAY
) -> Iterator[Pixels]:
    """Photos of people that move over a plain wall: of each its number, left edge, and pixels to
    the right per frame."""
    photos = [(person(number), left, step) for number, left, step in people]
    for frame in range(frames):
        pixels = np.full((250, width, 3), gray, np.uint8)
        for photo, left, step in photos:
            place = left + step * frame
            pixels[:, place : place + 250] = photo
        yield pixels


def plain(*colours: tuple[int, int, int], frames: int, size: tuple[int, int]) -> Iterator[Pixels]:
    """So many frames of each RGB colour, width and height as given."""
    for colour in colours:
        for _ in range(frames):
            yield np.full((size[1], size[0], 3), colour, np.uint8)


def write_video(
    path: Path, frames: Iterable[Pixels], *, rate: float = 4, codec: str = "mp4v"
) -> Path:
    """The format is that of the suffix."""
    writer = None
    for frame in frames:
        if writer is None:
            height, width = frame.shape[:2]
            code = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, rate, (width, height))
            assert writer.isOpened()
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    assert writer is not None
    writer.release()
    return path
