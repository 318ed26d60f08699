"""An image with a coordinate system: soft, anti-aliased shapes in face units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Pixels = NDArray[np.float32]
_SUBPIXEL_BITS = 4
DOWN = np.array((0.0, 1.0))
# The face is painted from the front at nearly twice the size at which it appears.
LEFT, TOP, WIDTH, HEIGHT, SCALE = -1.55, -2.05, 248, 320, 80.0


class Mask(NamedTuple):
    """How much of each pixel a shape covers, 0…1, within a rectangle of the canvas."""

    rows: slice
    cols: slice
    cover: Pixels


class Canvas:
    """A float32 RGB image, sRGB 0…1, whose pixels have coordinates in face units.

    Attributes:
        image: (height, width, 3).
        x: coordinates of the columns, (width,). y: of the rows, (height, 1).
        scale: pixels per face unit.
    """

    def __init__(self, left: float, top: float, width: int, height: int, scale: float) -> None:
        self.scale = scale
        self.corner = np.array((left, top))
        self.x: Pixels = (left + (np.arange(width, dtype=np.float32) + 0.5) / scale).astype("f4")
        self.y: Pixels = (top + (np.arange(height, dtype=np.float32) + 0.5) / scale).astype("f4")
        self.y = self.y[:, None]
        self.image: Pixels = np.zeros((height, width, 3), np.float32)

    def mask(self, points: ArrayLike, soft: float = 0.0) -> Mask:
        """The inside of a polygon, its edge blurred by ``soft`` (sigma in face units).

        Several polygons with equally many corners may be given at once, (N, corners, 2).
        """
        pixels = (np.asarray(points, np.float64) - self.corner) * self.scale - 0.5
        pixels = pixels.reshape(-1, *pixels.shape[-2:])
        sigma = soft * self.scale
        margin = int(3 * sigma) + 2
        height, width = self.image.shape[:2]
        low, high = pixels.min((0, 1)) - margin, pixels.max((0, 1)) + margin
        left, right = (min(max(int(v), 0), width) for v in (low[0], high[0] + 1))
        top, bottom = (min(max(int(v), 0), height) for v in (low[1], high[1] + 1))
        cover = np.zeros((max(bottom - top, 1), max(right - left, 1)), np.uint8)
        fixed = np.rint((pixels - (left, top)) * 2**_SUBPIXEL_BITS).astype(np.int32)
        for polygon in fixed:
            cv2.fillPoly(cover, [polygon], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        if sigma > 0.3:
            cover = cv2.GaussianBlur(cover, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        rows, cols = slice(top, bottom), slice(left, right)
        inside = cover[: max(bottom - top, 0), : max(right - left, 0)]
        return Mask(rows, cols, inside.astype(np.float32) / np.float32(255))

    def full(self, mask: Mask) -> Pixels:
        """A mask as one array over the whole canvas, (height, width)."""
        whole = np.zeros(self.image.shape[:2], np.float32)
        whole[mask.rows, mask.cols] = mask.cover
        return whole

    def blend(
        self, mask: Mask, colour: ArrayLike, strength: float = 1.0, within: Pixels | None = None
    ) -> None:
        """Mix a colour, or an image as large as the mask, into the covered pixels."""
        cover = mask.cover * np.float32(strength)
        if within is not None:
            cover = cover * within[mask.rows, mask.cols]
        part = self.image[mask.rows, mask.cols]
        part += (np.asarray(colour, np.float32) - part) * cover[..., None]

    def paint(
        self,
        points: ArrayLike,
        colour: ArrayLike,
        soft: float = 0.0,
        strength: float = 1.0,
        within: Pixels | None = None,
    ) -> None:
        """Fill a polygon."""
        self.blend(self.mask(points, soft), colour, strength, within)


def face_canvas() -> Canvas:
    """An empty canvas for a head from the front."""
    return Canvas(LEFT, TOP, WIDTH, HEIGHT, SCALE)


def blurred(image: Pixels, sigma: float) -> Pixels:
    """A wide Gaussian blur (sigma in pixels), computed at a quarter of the size."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def ellipse(
    x: float, y: float, width: float, height: float, angle: float = 0.0, points: int = 24
) -> NDArray[np.float64]:
    """The outline of an ellipse with the given half axes; ``angle`` in radians."""
    t = np.linspace(0, 2 * np.pi, points, endpoint=False)
    u, v = width * np.cos(t), height * np.sin(t)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x + u * cos - v * sin, y + u * sin + v * cos], 1)


def spline(points: Sequence[Any] | NDArray[Any], steps: int = 8) -> NDArray[np.float64]:
    """A smooth open curve (Catmull-Rom) through the points, ``steps`` places per span."""
    p = np.asarray(points, np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (p[k : len(p) - 3 + k, None] for k in range(4))
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([curve.reshape(-1, p.shape[1]), p[-2:-1]])


def ribbon(curve: ArrayLike, half_widths: ArrayLike) -> NDArray[np.float64]:
    """The outline of a stroke along ``curve`` whose half width varies."""
    path = np.asarray(curve, np.float64)
    along = np.gradient(path, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    offset = normal * np.broadcast_to(np.asarray(half_widths), (len(path),))[:, None]
    return np.concatenate([path + offset, (path - offset)[::-1]])


def mirrored(points: ArrayLike) -> NDArray[np.float64]:
    """A closed outline from its right half, given from top to bottom."""
    half = np.asarray(points, np.float64)
    return np.concatenate([half, half[::-1] * (-1, 1)])
