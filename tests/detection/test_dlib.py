"""dlib's detector from the cache folder is dlib's own."""

from pathlib import Path

import dlib
import numpy as np
import pytest

from facetool.detection.dlib import HogDetector
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
