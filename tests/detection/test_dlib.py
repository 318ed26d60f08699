"""dlib's detector from the cache folder is dlib's own; its landmark predictor is read meanwhile."""

import threading
from pathlib import Path

import dlib
import numpy as np
import pytest

import facetool.detection.dlib
from facetool.detection.dlib import HogDetector, LandmarkPredictor
from facetool.detection.face import Box
from facetool.errors import WeightsError
from facetool.files.dlib_files import FIVE_POINTS, dlib_model_path
from facetool.images.read import RGBImage
from facetool.sample.album import draw_image


@pytest.fixture
def photo() -> RGBImage:
    return draw_image(seed=3, person=1, image=0)[0]


def faces(photo: RGBImage) -> list[tuple[float, ...]]:
    (found,) = HogDetector().detect([photo])
    return [(*face.box, face.score) for face in found]


def dlibs_own(photo: RGBImage) -> list[tuple[float, ...]]:
    boxes, scores, _ = dlib.get_frontal_face_detector().run(photo, 1, 0.0)
    return [
        (box.left(), box.top(), box.right(), box.bottom(), score)
        for box, score in zip(boxes, scores, strict=True)
    ]


@pytest.mark.slow
def test_the_cached_detector_finds_what_dlibs_own_finds(
    photo: RGBImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    expected = dlibs_own(photo)
    assert len(expected) == 1
    assert faces(photo) == expected  # writes it
    (cached,) = tmp_path.iterdir()
    assert dlib.__version__ in cached.name
    monkeypatch.delattr(dlib, "get_frontal_face_detector")
    assert faces(photo) == expected  # reads it
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    assert faces(noise) == []


@pytest.mark.slow
def test_a_damaged_cache_is_made_good(
    photo: RGBImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    expected = faces(photo)
    (cached,) = tmp_path.iterdir()
    whole = cached.read_bytes()
    cached.write_bytes(whole[:1000])
    assert faces(photo) == expected
    assert cached.read_bytes() == whole


@pytest.mark.slow
def test_no_cache_is_needed(
    photo: RGBImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path / "file"))  # nothing can be written below
    assert faces(photo) == dlibs_own(photo)


def test_the_landmark_predictor_is_read_beside_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    read, begun = threading.Event(), threading.Event()

    def shape_predictor(path: str) -> dlib.shape_predictor:
        begun.set()
        assert read.wait(30)
        return predictor

    predictor = dlib.shape_predictor(str(dlib_model_path(FIVE_POINTS)))
    monkeypatch.setattr(dlib, "shape_predictor", shape_predictor)
    made = LandmarkPredictor(5)
    assert begun.wait(30)
    read.set()
    image, box = np.zeros((100, 100, 3), np.uint8), Box(20, 20, 80, 80)
    points = [
        (point.x, point.y) for point in predictor(image, dlib.rectangle(20, 20, 80, 80)).parts()
    ]
    np.testing.assert_array_equal(made.predict(image, box), points)


def test_a_damaged_landmark_predictor_is_no_fault_of_the_photo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cut = dlib_model_path(FIVE_POINTS).read_bytes()[:10_000]
    (tmp_path / "cut.dat").write_bytes(cut)
    monkeypatch.setattr(facetool.detection.dlib, "dlib_model_path", lambda _: tmp_path / "cut.dat")
    with pytest.raises(WeightsError, match=r"cut\.dat is damaged: Error deserializing"):
        LandmarkPredictor(5).predict(np.zeros((9, 9, 3), np.uint8), Box(0, 0, 8, 8))
