"""Photos that are not upright: no crop that shows no face."""

from pathlib import Path

import numpy as np
import pytest

from facetool.alignment.recipes import ARCFACE_112, DLIB_CHIP, Crop, override
from facetool.cropping.face_cropper import FaceCropper
from facetool.detection.options import DetectionSettings
from facetool.detection.search import View, turned
from facetool.files.align_manifest import read_manifest
from facetool.images.png import encode_png
from facetool.images.read import read_image
from tests.field.commands import facetool

FOUND_UPSIDE_DOWN = (
    "Alberto_Gonzales_0001",
    "Jacques_Chirac_0025",
    "Jeremy_Shockey_0002",
)
"""Photos of LFW in which hog finds a face when they are upside-down."""


def photo_of(shared: Path, name: str) -> np.ndarray:
    return read_image(shared / f"lfw-a/images/{name[:-5]}/{name}.jpg")


@pytest.mark.parametrize("name", FOUND_UPSIDE_DOWN)
def test_a_face_that_is_not_there_is_a_miss_with_a_reason(shared: Path, name: str) -> None:
    cropper = FaceCropper(DLIB_CHIP)
    photo = photo_of(shared, name)
    assert cropper.find(photo).faces
    upside_down = np.ascontiguousarray(photo[::-1, ::-1])
    assert cropper.detect([upside_down])[0]
    faces, missed, _ = cropper.find(upside_down)
    assert not faces
    assert missed.startswith("not upright: a face is clearer with the photo turned by 180 degrees")
    assumed = FaceCropper(DLIB_CHIP, assume_center=True).find(upside_down)
    assert not assumed.faces[0].face.found
    assert assumed.missed == missed


@pytest.mark.slow
@pytest.mark.parametrize("crop", [DLIB_CHIP, ARCFACE_112])
@pytest.mark.parametrize(
    ("detector", "weights", "least"),
    [
        ("hog", "", 1),
        ("mtcnn", "", 0),
        ("scrfd", "scrfd_2.5g_bnkps.onnx", 20),
        ("yunet", "yunet_n_320_320.onnx", 20),
    ],
)
def test_every_detectors_faces_on_their_heads_are_refused(
    shared: Path, detector: str, weights: str, least: int, crop: Crop
) -> None:
    settings = DetectionSettings(weights=shared / "weights" / weights) if weights else None
    cropper = FaceCropper(override(crop, detector=detector), settings)
    photos = [read_image(p) for p in sorted((shared / "photos/lfw-colour").rglob("*.jpg"))[::4]]
    found = 0
    for photo in photos:
        assert cropper.find(photo).faces
        upside_down = np.ascontiguousarray(photo[::-1, ::-1])
        found += bool(cropper.detect([upside_down])[0])
        assert not cropper.find(upside_down).faces
    assert found >= least


@pytest.mark.slow
def test_upright_faces_that_are_not_sure_are_kept(shared: Path) -> None:
    """MTCNN gives this one 0.93 at full size, 0.99 smaller, and 0.95 on its side."""
    cropper = FaceCropper(override(DLIB_CHIP, detector="mtcnn"))
    assert cropper.find(read_image(shared / "photos/examples/carell.jpg")).faces


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["hog", "mtcnn"])
def test_tilted_faces_are_kept(shared: Path, detector: str) -> None:
    cropper = FaceCropper(override(DLIB_CHIP, detector=detector))
    photos = [read_image(p) for p in sorted((shared / "photos/lfw-colour").rglob("*.jpg"))[::5]]
    tilted = [turned(View(photo), 45).pixels for photo in photos]
    found = [photo for photo in tilted if cropper.detect([photo])[0]]
    assert len(found) >= 4
    assert sum(bool(cropper.find(photo).faces) for photo in found) >= 0.8 * len(found)


@pytest.mark.slow
def test_align_says_it_and_rotate_mends_it(shared: Path, tmp_path: Path) -> None:
    for name in FOUND_UPSIDE_DOWN:
        photo = photo_of(shared, name)[::-1, ::-1]
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"in/{name}.png").write_bytes(encode_png(np.ascontiguousarray(photo)))
    ended = facetool("align", tmp_path / "in", tmp_path / "out")
    assert ended.returncode == 0
    stderr = ended.stderr.decode()
    assert stderr.count("photo turned by 180 degrees; the option rotate turns it (if-missed)") == 3
    assert stderr.endswith("out: 3 no-face (3 not upright)\n")
    assert facetool("align", tmp_path / "in", tmp_path / "up", "--rotate", "if-missed")
    assert [row.turn for row in read_manifest(tmp_path / "up/align.csv")] == ["180"] * 3
