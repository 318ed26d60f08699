"""One drawn photo."""

import dataclasses
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from facetool.sample.drawing.draw import draw_photo
from facetool.sample.drawing.person import BEARDS, GLASSES, HAIR_STYLES, Person, imagine_person
from facetool.sample.drawing.photo import COVERS, PhotoSettings, imagine_photo


@pytest.fixture(scope="module")
def person() -> Person:
    person = imagine_person(np.random.default_rng(3))
    return dataclasses.replace(person, glasses="none", beard="none", hair_style="short")


@pytest.fixture(scope="module")
def photo() -> PhotoSettings:
    """A frontal, evenly lit photo."""
    photo = imagine_photo(np.random.default_rng(4))
    return dataclasses.replace(
        photo,
        yaw=0.0,
        pitch=0.0,
        roll=0.0,
        light=(0.0, -0.5, 0.866),
        key=0.8,
        ambient=0.5,
        exposure=1.0,
        smile=0.2,
        cover="none",
        blur=0.0,
        noise=1.0,
    )


def test_same_parameters_same_image(person: Person, photo: PhotoSettings) -> None:
    first, second = draw_photo(person, photo), draw_photo(person, photo)
    assert first.shape == (250, 250, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)


def test_the_picture_does_not_depend_on_what_was_drawn_before(
    person: Person, photo: PhotoSettings
) -> None:
    alone = draw_photo(person, photo)
    draw_photo(imagine_person(np.random.default_rng(99)), photo)
    assert np.array_equal(draw_photo(person, photo), alone)


def test_the_picture_does_not_depend_on_the_number_of_threads(
    person: Person, photo: PhotoSettings
) -> None:
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = draw_photo(person, photo)
        cv2.setNumThreads(4)
        assert np.array_equal(draw_photo(person, photo), alone)
    finally:
        cv2.setNumThreads(threads)


def _change(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the pixels that differ visibly."""
    return float(np.mean(np.abs(one.astype(int) - other).max(2) > 24))


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_every_hair_style_is_another(style: str, person: Person, photo: PhotoSettings) -> None:
    if style != "bald":
        bald = draw_photo(dataclasses.replace(person, hair_style="bald"), photo)
        assert (
            _change(draw_photo(dataclasses.replace(person, hair_style=style), photo), bald) > 0.02
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [("beard", b) for b in BEARDS[1:]] + [("glasses", g) for g in GLASSES[1:]],
)
def test_beards_and_glasses_show(
    field: str, value: str, person: Person, photo: PhotoSettings
) -> None:
    photo = dataclasses.replace(photo, glasses_on=True)
    person = dataclasses.replace(person, hair=(0.1, 0.1, 0.1), skin=(0.95, 0.8, 0.7))
    changed = dataclasses.replace(person, **{field: value})  # type: ignore[arg-type]
    assert _change(draw_photo(changed, photo), draw_photo(person, photo)) > 0.005


@pytest.mark.parametrize("cover", COVERS[1:])
def test_covers_hide_a_part(cover: str, person: Person, photo: PhotoSettings) -> None:
    covered = draw_photo(person, dataclasses.replace(photo, cover=cover))
    assert _change(covered, draw_photo(person, photo)) > 0.015


def test_light_comes_from_where_it_should(person: Person, photo: PhotoSettings) -> None:
    def cheeks(x: float) -> float:
        """Brightness of the right half of the face over that of the left."""
        lit = dataclasses.replace(photo, light=(x, -0.3, 0.7), centre=(125.0, 125.0))
        face = draw_photo(person, lit)[110:150, 90:160].mean((0, 2))
        return float(face[35:].mean() / face[:35].mean())

    assert cheeks(0.65) > 1.1
    assert cheeks(-0.65) < 0.9


def _five_points(picture: np.ndarray) -> np.ndarray:
    """dlib's five landmarks, (5, 2)."""
    import dlib

    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "models"
    faces = dlib.get_frontal_face_detector()(picture, 1)
    assert len(faces) == 1
    predictor = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
    shape = predictor(picture, faces[0])
    return np.array([(p.x, p.y) for p in shape.parts()], float)


@pytest.mark.slow
@pytest.mark.parametrize("roll", [-12.0, 0.0, 12.0])
def test_roll_turns_the_eyes(roll: float, person: Person, photo: PhotoSettings) -> None:
    points = _five_points(draw_photo(person, dataclasses.replace(photo, roll=roll)))
    across = points[0] - points[2]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(roll, abs=5)


@pytest.mark.slow
def test_yaw_moves_the_nose_between_the_eyes(person: Person, photo: PhotoSettings) -> None:
    def nose(yaw: float) -> float:
        """Place of the nose between the outer corners of the eyes, 0…1 from left to right."""
        points = _five_points(draw_photo(person, dataclasses.replace(photo, yaw=yaw)))
        return float((points[4, 0] - points[2, 0]) / (points[0, 0] - points[2, 0]))

    assert nose(-20) < nose(0) - 0.05
    assert nose(20) > nose(0) + 0.05
