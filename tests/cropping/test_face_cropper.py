"""Which of a photo's faces are cut out, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facetool.alignment.recipes import ARCFACE_112, DLIB_CHIP, FACENET_160, Crop
from facetool.cropping.face_cropper import FaceCropper
from facetool.cropping.photo_cropper import PhotoCropper
from facetool.cropping.photos import search_photo
from facetool.cropping.remarks import LEFT_OUT
from facetool.detection.face import Box, Face
from facetool.errors import UsageError
from facetool.images.inputs import open_photos
from facetool.images.png import encode_png
from facetool.images.read import Photo, read_image
from facetool.jobs.stopwatch import Stopwatch


def test_a_face_that_is_left_out_beside_others_is_told(album: Path) -> None:
    image = read_image(min(album.glob("*/*.jpg")))
    cropper = FaceCropper(ARCFACE_112, select="all")
    ((face,),) = cropper.detect([image])
    assert face.landmarks is not None
    eyes_below_the_mouth = replace(face, landmarks=face.landmarks[[3, 4, 2, 0, 1]])
    found = cropper.locate(image, [face, eyes_below_the_mouth])
    assert [one.face for one in found.faces] == [face] and not found.missed
    assert found.remarks == (f"1 of 2 faces {LEFT_OUT}",)
    assert cropper.locate(image, [face]).remarks == ()
    alone = cropper.locate(image, [eyes_below_the_mouth])
    assert "eyes lie below the mouth" in alone.missed and alone.remarks == ()


def test_one_of_two_people_stands_on_their_head(shared: Path, tmp_path: Path) -> None:
    upright = read_image(shared / "lfw-a/images/Jacques_Chirac/Jacques_Chirac_0025.jpg")
    both = np.vstack([upright, upright[::-1, ::-1]])
    cropper = FaceCropper(DLIB_CHIP, select="all")
    told = [f"1 of 2 faces {LEFT_OUT}"]
    searched = search_photo(lambda: Photo(both), cropper)
    assert len(searched.crops) == 1 and searched.remarks == told
    (tmp_path / "both.png").write_bytes(encode_png(both))
    (aligned,) = PhotoCropper(open_photos(tmp_path), cropper).crop(["both.png"], Stopwatch())
    assert len(aligned.crops) == 1 and aligned.remarks == told


GREY = np.full((300, 400, 3), 128, np.uint8)
FIVE = np.array([(170, 120), (230, 120), (200, 150), (178, 185), (222, 185)], np.float64)
NAN, INF = float("nan"), float("inf")
BOX = Box(140, 80, 260, 220)
NO_FACES = [
    Face(Box(5000, 5000, 5100, 5100), 1.0, FIVE),
    Face(Box(1e12, 1e12, 1e12 + 100, 1e12 + 100), 1.0, FIVE),
    Face(Box(0, 0, 1e12, 1e12), 1.0, FIVE),
    Face(Box(-1e200, -1e200, 1e200, 1e200), 1.0, FIVE),
    Face(Box(-200, 10, -100, 110), 1.0, FIVE),
    Face(Box(10, 300, 110, 400), 1.0, FIVE),
    Face(Box(NAN, 80, 260, 220), 1.0, FIVE),
    Face(Box(140, 80, 260, INF), 1.0, FIVE),
    Face(Box(260, 80, 140, 220), 1.0, FIVE),
    Face(Box(140, 80, 260, 80), 1.0, FIVE),
    Face(tuple(BOX), 1.0, FIVE),  # type: ignore[arg-type]
    Face(BOX, 1.0, FIVE.tolist()),
    Face(BOX, 1.0, FIVE.astype(int)),  # type: ignore[arg-type]
    Face(BOX, 1.0, FIVE[:4]),
    Face(BOX, 1.0, np.ones((5, 3))),
    Face(BOX, 1.0, FIVE * NAN),
    Face(BOX, 1.0, np.where(FIVE > 200, INF, FIVE)),
]


@pytest.mark.parametrize("crop", [DLIB_CHIP, ARCFACE_112, FACENET_160], ids=lambda it: it.method)
@pytest.mark.parametrize("face", NO_FACES)
def test_what_is_no_face_of_the_photo_is_refused(crop: Crop, face: Face) -> None:
    """A box outside the photo gave a crop, and so an embedding, of its border."""
    cropper = FaceCropper(crop, select="all")
    good = Face(BOX, 1.0, FIVE)
    assert cropper.locate(GREY, [good]).faces
    for faces in ([face], [good, face]):
        with pytest.raises(UsageError, match=r"[Bb]ox|landmarks"):
            cropper.locate(GREY, faces)
    with pytest.raises(UsageError, match=r"[Bb]ox|landmarks"):
        cropper.landmarks(GREY, face)


@pytest.mark.slow
def test_a_face_without_the_landmarks_that_its_crop_needs() -> None:
    alone = Face(BOX, 1.0)
    with pytest.raises(UsageError, match=r"needs the landmarks .*predictor=68"):
        FaceCropper(ARCFACE_112).locate(GREY, [alone])
    for cropper in (FaceCropper(ARCFACE_112, predictor=68), FaceCropper(FACENET_160)):
        assert cropper.locate(GREY, [alone]).faces or cropper.locate(GREY, [alone]).missed


@pytest.mark.parametrize("crop", [DLIB_CHIP, ARCFACE_112, FACENET_160], ids=lambda it: it.method)
@pytest.mark.parametrize(
    "points", [FIVE.tolist(), FIVE[:3], np.ones((5, 3)), np.ones(10), FIVE * NAN, None]
)
def test_landmarks_of_a_callers_own(crop: Crop, points: object) -> None:
    cropper = FaceCropper(crop)
    good = np.array([BOX[:2], BOX[2:]], float) if crop is FACENET_160 else FIVE
    assert cropper.cut(GREY, good).shape == (crop.height, crop.width, 3)
    with pytest.raises(UsageError, match=r"^landmarks are "):
        cropper.cut(GREY, points)  # type: ignore[arg-type]


@pytest.mark.parametrize("crop", [ARCFACE_112, FACENET_160], ids=lambda it: it.method)
@pytest.mark.parametrize("odd", [Face(BOX, 1.0, FIVE * NAN), Face(Box(NAN, 80, 260, 220), 1, FIVE)])
def test_an_odd_face_of_a_detector_is_a_matter_of_its_photo(crop: Crop, odd: Face) -> None:
    found = FaceCropper(crop).locate_detected(GREY, [odd])
    assert not found.faces and "finite" in found.missed
