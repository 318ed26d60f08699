"""Photos that are not upright: no crop that shows no face."""

from pathlib import Path

import numpy as np
import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cropping.face_cropper import FaceCropper
from facetool.images.read import read_image

FOUND_UPSIDE_DOWN = ("Alberto_Gonzales_0001", "Jacques_Chirac_0025", "Jeremy_Shockey_0002")
"""Photos of LFW in which hog finds a face when they stand on their heads."""


@pytest.mark.parametrize("name", FOUND_UPSIDE_DOWN)
def test_a_face_that_is_not_there_is_a_miss_with_a_reason(shared: Path, name: str) -> None:
    cropper = FaceCropper(DLIB_CHIP)
    photo = read_image(shared / f"lfw-a/images/{name[:-5]}/{name}.jpg")
    assert cropper.find(photo).faces
    upside_down = np.ascontiguousarray(photo[::-1, ::-1])
    assert cropper.detect([upside_down])[0]
    faces, missed = cropper.find(upside_down)
    assert not faces
    assert missed.startswith("landmarks contradict each other")
    assumed = FaceCropper(DLIB_CHIP, assume_center=True).find(upside_down)
    assert not assumed.faces[0].face.found
    assert assumed.missed == missed
