"""Drawing one photo of an imaginary person."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.sample.drawing.canvas import (
    HEIGHT,
    LEFT,
    SCALE,
    TOP,
    WIDTH,
    Pixels,
    ellipse,
    face_canvas,
)
from facetool.sample.drawing.covers import paint_glasses, paint_hat
from facetool.sample.drawing.facial_features import (
    face_outline,
    paint_beard,
    paint_brows,
    paint_eyes,
    paint_mouth,
    paint_nose,
    paint_skin,
    paint_sparkle,
)
from facetool.sample.drawing.hair import paint_hair
from facetool.sample.drawing.person import Person
from facetool.sample.drawing.photo import PhotoSettings
from facetool.sample.drawing.relief import light, relief
from facetool.sample.drawing.scene import MIDDLE, SIZE, Scene

# The maps of the pose are smooth: one value in four pixels is enough.
_COARSE = 4


def draw_photo(person: Person, photo: PhotoSettings) -> NDArray[np.uint8]:
    """Draw a photo.

    The head is painted from the front, lit by the normals of its height field, turned by
    moving each point as far as its height demands, and set into the scene.

    Returns:
        RGB, (250, 250, 3).
    """
    turn = _rotation(photo)
    scene = Scene(person, photo, turn)
    scene.paint_backdrop()
    scene.paint_body()
    head = _place(_head(person, photo, turn), person, photo, turn)
    scene.canvas.image = scene.canvas.image * (1 - head[..., 3:]) + head[..., :3]
    scene.paint_front()
    return _develop(scene.canvas.image, photo)


def _rotation(photo: PhotoSettings) -> NDArray[np.float64]:
    """Matrix from the face's coordinates to the camera's."""
    yaw, pitch, roll = np.radians((photo.yaw, photo.pitch, photo.roll))
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    return np.asarray(about_z @ about_x @ about_y)


def _head(person: Person, photo: PhotoSettings, turn: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The lit head from the front, RGB times alpha and alpha, (height, width, 4)."""
    canvas = face_canvas()
    paint_skin(canvas, person, photo)
    paint_nose(canvas, person)
    paint_mouth(canvas, person, photo)
    paint_beard(canvas, person, photo)
    paint_brows(canvas, person, photo)
    paint_eyes(canvas, person, photo)
    alpha = canvas.full(canvas.mask(face_outline(person, photo), 0.006))
    ears = np.zeros_like(alpha)
    for side in (-1, 1):
        shell = canvas.mask(ellipse(side * 1.02, 0.22, 0.10, 0.27, side * 0.15), 0.006)
        hollow = ellipse(side * 1.04, 0.20, 0.045, 0.16, side * 0.15)
        canvas.paint(hollow, np.array(person.skin) * (0.7, 0.55, 0.5), 0.02, 0.8)
        ears = np.maximum(ears, canvas.full(shell))
    alpha = np.maximum(alpha, ears)
    hair = paint_hair(canvas, person, photo, alpha)
    paint_glasses(canvas, person, photo)
    hat = paint_hat(canvas, person, photo)
    alpha = np.maximum(alpha, np.maximum(hair, hat))

    direction = (turn.T @ np.array(photo.light)).astype(np.float32)
    z = relief(canvas, person, photo)
    diffuse, shine = light(canvas, z, np.maximum(hair, hat), photo, direction)
    # Light adds up in linear space; squaring comes close to it.
    bare = 1 - np.maximum(hair, hat)
    linear = canvas.image * (canvas.image * diffuse + (0.35 * hair * (1 - hat) * shine)[..., None])
    linear += (0.06 * bare * shine)[..., None]
    canvas.image = np.sqrt(np.clip(linear, 0, 1.2), dtype=np.float32)
    if photo.cover != "sunglasses":
        paint_sparkle(canvas, person, photo, direction)
    image = np.empty((HEIGHT, WIDTH, 4), np.uint8)
    whole = np.float32(255) * alpha[..., None]
    image[..., :3] = np.minimum(canvas.image, 1) * whole
    image[..., 3:] = whole
    return image


def _place(
    head: NDArray[np.uint8], person: Person, photo: PhotoSettings, turn: NDArray[np.float64]
) -> Pixels:
    """Turn the head and set it where it appears, 0…1, (250, 250, 4)."""
    depth = _depth(person)
    cells = 2 * SIZE // _COARSE
    grid = (np.arange(cells) + 0.5) * _COARSE / 2 - 0.5
    u = ((grid - photo.centre[0]) / photo.zoom)[None, :]
    v = ((grid - photo.centre[1]) / photo.zoom)[:, None]
    back = np.linalg.inv(turn[:2, :2])
    z: Any = np.full((cells, cells), 0.4, np.float32)
    for _ in range(8):  # z depends on the place and the place on z
        left, down = u - turn[0, 2] * z, v - turn[1, 2] * z
        x = back[0, 0] * left + back[0, 1] * down + MIDDLE[0]
        y = back[1, 0] * left + back[1, 1] * down + MIDDLE[1]
        col = ((x - LEFT) * SCALE - 0.5).astype(np.float32)
        row = ((y - TOP) * SCALE - 0.5).astype(np.float32)
        half = np.float32((_COARSE - 1) / 2)
        small = ((col - half) / _COARSE, (row - half) / _COARSE)
        z = cv2.remap(depth, *small, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    maps = [cv2.resize(m, (2 * SIZE, 2 * SIZE), interpolation=cv2.INTER_LINEAR) for m in (col, row)]
    turned = cv2.remap(head, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    turned = cv2.resize(turned, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(turned / np.float32(255))


def _depth(person: Person) -> Pixels:
    """Height field for turning, a quarter of the canvas: gentler than the one for light."""
    x = np.linspace(LEFT, LEFT + WIDTH / SCALE, WIDTH // _COARSE, dtype=np.float32)[None, :]
    y = np.linspace(TOP, TOP + HEIGHT / SCALE, HEIGHT // _COARSE, dtype=np.float32)[:, None]
    z = 0.75 - 0.62 * x**2 - 0.16 * np.abs(y - 0.2) ** 3
    tip = person.nose_y - 0.10
    ridge = np.clip((y + 0.25) / (tip + 0.25), 0, 1) * (y <= tip)
    ridge = ridge + np.exp(-(((y - tip) / 0.16) ** 2)) * (y > tip)
    z = z + person.nose_height * ridge * np.exp(-((x / (1.9 * person.bridge)) ** 2))
    return np.asarray(cv2.GaussianBlur(np.maximum(z, -0.5), (0, 0), 1.0), np.float32)


def _develop(image: Pixels, photo: PhotoSettings) -> NDArray[np.uint8]:
    """Exposure, blur and noise of the camera."""
    rng = np.random.default_rng(photo.texture + 1)
    if photo.blur > 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), photo.blur))
    noise = rng.standard_normal((SIZE, SIZE, 1), dtype=np.float32) * np.float32(photo.noise)
    steps = image * np.float32(255 * photo.exposure) + noise + np.float32(0.5)
    return np.asarray(np.clip(steps, 0, 255), np.uint8)
