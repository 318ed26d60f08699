"""Which of a photo's faces are cut out, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from facetool.alignment.recipes import ARCFACE_112, DLIB_CHIP
from facetool.cropping.face_cropper import FaceCropper
from facetool.cropping.photo_cropper import PhotoCropper
from facetool.cropping.photos import search_photo
from facetool.cropping.remarks import LEFT_OUT
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
