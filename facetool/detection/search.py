"""A photo searched at a size and in turns that suit the detector, whatever the photo.

Detectors find upright faces from some size on, at a cost that grows with the pixels. So a large
photo is scaled down first, one in which nothing was found may be searched at two more sizes, and a
photo that lies on its side may be turned. Boxes and points are always those of the photo itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.alignment.landmarks import Points
from facetool.detection.face import Box, Detector, Face
from facetool.images.arrays import as_rgb_image
from facetool.images.read import RGBImage

QUARTER_TURNS = (90, 180, 270)
TILTS = (45, 315, 135, 225)
"""Tried where quarter turns are not sure: detectors find faces tilted by some 25 degrees."""

_BORDER = 0.5
"""Added on each side around a face that may fill the frame, as a share of the photo's sides."""

_SURROUNDINGS = 3
"""Edge of what is looked at again around a face, in edges of its box."""

_CLOSER = 2
"""How much larger a photo with small faces is searched the second time."""


class View(NamedTuple):
    """A photo as a detector sees it.

    Attributes:
        pixels: uint8 (H, W, 3).
        to_photo: float64 (2, 3): from pixels of the view to pixels of the photo, or None for the
            photo itself.
        turn: degrees clockwise by which the photo was turned.
    """

    pixels: RGBImage
    to_photo: NDArray[np.float64] | None = None
    turn: int = 0

    def in_photo(self, face: Face) -> Face:
        """A face found here, in pixels of the photo, to a thousandth."""
        if self.to_photo is None:
            return face
        return replace(_moved(face, self.to_photo, self.turn), turn=self.turn)

    def from_photo(self, face: Face) -> Face:
        """The inverse of :meth:`in_photo`."""
        if self.to_photo is None:
            return face
        back = np.asarray(cv2.invertAffineTransform(self.to_photo), dtype=np.float64)
        return replace(_moved(face, back, self.turn), turn=0)

    def points_in_photo(self, points: Points) -> Points:
        """Points (K, 2) found here, in pixels of the photo, to a thousandth."""
        return points if self.to_photo is None else _moved_points(points, self.to_photo)


class PhotoSearch:
    """A detector with a size to search photos at, and turns to try.

    Args:
        detector: finds the faces of photos as they are.
        detect_at: pixels of the longer side that photos are scaled down to. A photo in which
            nothing is found is then searched twice more: at half that size with a border, for a
            face that fills the frame, and at double the size, for small ones. None: photos are
            searched once, as they are.
        most_pixels: photos with more are scaled down to so many in any case.
        rotate: ``never``, ``if-missed`` (a photo in which nothing is surely found is turned, and
            the best score decides) or ``always`` (every photo is).
        sure: score from which a face is surely upright: detectors find something, though not
            what it is, in upside-down faces.
        clear_edge: pixels of a face's box at which the detector sees it as well as larger; 0 where
            faces are not looked at again.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        detect_at: int | None = None,
        most_pixels: int = 2**62,
        rotate: str = "never",
        sure: float = 0.0,
        clear_edge: int = 64,
    ) -> None:
        self.detector = detector
        self._detect_at = detect_at
        self._most_pixels = most_pixels
        self._sure = sure
        self._clear_edge = clear_edge
        self._turn_below = {"never": -math.inf, "if-missed": sure, "always": math.inf}[rotate]

    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        """The faces of each image, best score first, in pixels of the image.

        Raises:
            UsageError: an image is not uint8 (H, W, 3).
        """
        images = [as_rgb_image(image) for image in images]
        views = [self._view(image) for image in images]
        faces = self._find(views)
        if self._detect_at is not None:
            for other in (self._with_border, self._closer):
                faces = self._again(faces, images, other)
        return [
            self._turned(view, its_faces)
            if _best_score(its_faces) < self._turn_below
            else its_faces
            for view, its_faces in zip(views, faces, strict=True)
        ]

    def _turned(self, view: View, upright: list[Face]) -> list[Face]:
        """The faces of the turn with the best score; tilts count where no quarter turn is sure."""
        best = upright
        for turns in (QUARTER_TURNS, TILTS):
            for turn in turns:
                (found,) = self._find([turned(view, turn)])
                if _best_score(found) > _best_score(best):
                    best = found
            if best and _best_score(best) >= self._sure:
                break
        return best

    def is_sure(self, face: Face) -> bool:
        """Whether a face's score says that it is upright."""
        return face.score >= self._sure

    def better_turned(self, image: RGBImage, face: Face) -> Face | None:
        """What a face is, if it is not upright: found there, turned further, with a better score.

        Args:
            image: the photo.
            face: found in it.

        Returns:
            That face, its ``turn`` included; None where turning finds nothing better, or where the
            face is sure.
        """
        if self.is_sure(face) or not self._clear_edge:
            return None
        view = _around(image, face, _SURROUNDINGS, self._clear_edge)
        turns = [(face.turn + turn) % 360 for turn in QUARTER_TURNS]
        found = chain(*self._find([turned(view, turn) for turn in turns]))
        best = max((face, *filter(_stands, found)), key=lambda it: it.score)
        if best is face:
            return None
        # At the size of the turned views, too, the face may be clearer than it was.
        (upright,) = self._find([turned(view, face.turn)])
        return None if _best_score(upright) >= best.score else best

    def searched_size(self, image: RGBImage) -> tuple[int, int] | None:
        """Width and height that a photo is scaled to because it has too many pixels."""
        height, width = image.shape[:2]
        if width * height * self._asked_scale(image) ** 2 <= self._most_pixels:
            return None
        scaled = self._view(image).pixels
        return scaled.shape[1], scaled.shape[0]

    def _find(self, views: Sequence[View]) -> list[list[Face]]:
        found = self.detector.detect([view.pixels for view in views])
        return [
            [view.in_photo(face) for face in faces]
            for view, faces in zip(views, found, strict=True)
        ]

    def _again(
        self,
        faces: list[list[Face]],
        images: Sequence[RGBImage],
        other: Callable[[RGBImage], View],
    ) -> list[list[Face]]:
        """The faces, and where there are none those of another view of the photo."""
        missed = [number for number, its_faces in enumerate(faces) if not its_faces]
        found = self._find([other(images[number]) for number in missed])
        return [its_faces if its_faces else found.pop(0) for its_faces in faces]

    def _asked_scale(self, image: RGBImage) -> float:
        if self._detect_at is None:
            return 1.0
        longer: int = max(image.shape[:2])
        return min(1.0, self._detect_at / longer)

    def _view(self, image: RGBImage) -> View:
        """The photo as it is searched first."""
        return self._scaled(image, self._asked_scale(image))

    def _scaled(self, image: RGBImage, scale: float) -> View:
        height, width = image.shape[:2]
        return _scaled(image, min(scale, math.sqrt(self._most_pixels / (height * width))))

    def _with_border(self, image: RGBImage) -> View:
        """At half the size, so that the border does not make it larger: for a close-up."""
        small = self._scaled(image, self._asked_scale(image) / (1 + 2 * _BORDER))
        height, width = (round(_BORDER * edge) for edge in small.pixels.shape[:2])
        around = (height, height, width, width)
        pixels = cv2.copyMakeBorder(small.pixels, *around, cv2.BORDER_REPLICATE)
        to_photo = _after(small.to_photo, _shift(-width, -height))
        return View(np.asarray(pixels, dtype=np.uint8), to_photo)

    def _closer(self, image: RGBImage) -> View:
        """Larger: for small faces."""
        return self._scaled(image, _CLOSER * self._asked_scale(image))


def turned(view: View, turn: int) -> View:
    """A view turned clockwise.

    Args:
        view: a view that is not turned yet.
        turn: degrees.
    """
    height, width = view.pixels.shape[:2]
    if turn % 90 == 0:
        pixels = np.ascontiguousarray(np.rot90(view.pixels, -turn // 90))
        back = _turning_back(turn, (width, height), pixels.shape[1::-1])
    else:
        cosine, sine = abs(math.cos(math.radians(turn))), abs(math.sin(math.radians(turn)))
        size = round(width * cosine + height * sine), round(width * sine + height * cosine)
        back = _turning_back(turn, (width, height), size)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pixels = np.asarray(
            cv2.warpAffine(view.pixels, back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE),
            dtype=np.uint8,
        )
    return View(pixels, _after(view.to_photo, back), turn)


def upright_view(image: RGBImage, face: Face) -> View:
    """The surroundings of a face, turned as the photo was to find it.

    Args:
        image: the photo.
        face: in the photo.
    """
    return turned(_around(image, face, 4), face.turn)


def _around(image: RGBImage, face: Face, edges: float, clear_edge: float = math.inf) -> View:
    """The surroundings of a face.

    Args:
        image: the photo.
        face: in the photo.
        edges: how much of it, in edges of the face's box.
        clear_edge: pixels that a larger box is scaled down to.
    """
    box = face.box
    edge = (box.right - box.left + box.bottom - box.top) / 2
    reach = edges / 2 * edge
    x, y = box.center
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    part = image[top : max(0, int(y + reach)) + 1, left : max(0, int(x + reach)) + 1]
    scaled = _scaled(part, min(1.0, clear_edge / max(edge, 1.0)))
    return View(scaled.pixels, _after(_shift(left, top), scaled.to_photo))


def _scaled(image: RGBImage, scale: float) -> View:
    if scale == 1:
        return View(image)
    height, width = image.shape[:2]
    size = max(1, int(width * scale)), max(1, int(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    smaller = _halved(image, size)
    pixels = np.asarray(cv2.resize(smaller, size, interpolation=method), dtype=np.uint8)
    x, y = width / size[0], height / size[1]
    # Edges of pixels scale, and a pixel's number is that of its centre less a half.
    return View(pixels, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]))


def _halved(image: RGBImage, least: tuple[int, int]) -> RGBImage:
    """Half of an image, or a quarter and so on, where its edges stay at least as long.

    OpenCV averages four pixels seven times as fast as it weighs them.
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2 or width < 2 * least[0] or height < 2 * least[1]:
        return image
    half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return _halved(np.asarray(half, dtype=np.uint8), least)


def _turning_back(
    turn: int, size: tuple[int, int], turned_size: tuple[int, ...]
) -> NDArray[np.float64]:
    """From pixels of an image turned clockwise, about the centre, to those of the image."""
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    linear = np.array([[cosine, sine], [-sine, cosine]]).round(12)
    centre, turned_centre = (np.array(size) - 1) / 2, (np.array(turned_size) - 1) / 2
    return np.column_stack([linear, centre - linear @ turned_centre])


def _moved(face: Face, moving: NDArray[np.float64], turn: int) -> Face:
    """A face after a map (2, 3) that scales, and turns by so many degrees one way or the other."""
    box, points = face.box, face.landmarks
    ((x, y),) = _moved_points(np.array([box.center]), moving).tolist()
    scale = math.sqrt(abs(np.linalg.det(moving[:, :2])))
    width = (box.right - box.left + 1) * scale - 1
    height = (box.bottom - box.top + 1) * scale - 1
    if turn in (90, 270):
        width, height = height, width
    edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return replace(
        face,
        box=Box(*(round(edge, 3) for edge in edges)),
        landmarks=None if points is None else _moved_points(points, moving),
    )


def _moved_points(points: Points, moving: NDArray[np.float64]) -> Points:
    moved: Points = (points @ moving[:, :2].T + moving[:, 2]).round(3)
    return moved


def _shift(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def _after(
    second: NDArray[np.float64] | None, first: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    """Two maps (2, 3) as one; the second is applied to what the first gives."""
    if second is None or first is None:
        return first if second is None else second
    linear = second[:, :2] @ first[:, :2]
    return np.column_stack([linear, second[:, :2] @ first[:, 2] + second[:, 2]])


def _stands(face: Face) -> bool:
    """Whether the mouth is below the eyes once the photo is turned as it was to find the face.

    MTCNN finds tilted faces with the points of upright ones. True where there are no points.
    """
    if face.landmarks is None:
        return True
    right, down = face.landmarks[3:].mean(axis=0) - face.landmarks[:2].mean(axis=0)
    cosine, sine = math.cos(math.radians(face.turn)), math.sin(math.radians(face.turn))
    return bool(right * sine + down * cosine > abs(right * cosine - down * sine))


def _best_score(faces: Sequence[Face]) -> float:
    """Below every score where there are none."""
    return max((face.score for face in faces), default=-math.inf)
