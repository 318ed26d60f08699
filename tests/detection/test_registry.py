"""Every detector of the registry: its data, its files, its protocol."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facetool.cropping.detectors import create_detector, describe_detector, detector_weights
from facetool.detection.face import Face
from facetool.detection.options import DetectionSettings, DlibOptions, MtcnnOptions, YunetOptions
from facetool.detection.registry import DETECTORS, DetectorEntry, detector_entry
from facetool.errors import UsageError, WeightsError
from facetool.images.read import RGBImage
from facetool.sample.album import draw_image
from facetool.weights.download import digest

ENTRIES = pytest.mark.parametrize("entry", DETECTORS.values(), ids=DETECTORS)


@pytest.fixture(scope="module")
def drawn() -> list[RGBImage]:
    """A portrait, nobody, and the same portrait in a wider photo."""
    portrait, _ = draw_image(seed=3, person=1, image=0)
    wide = np.full((280, 400, 3), 90, np.uint8)
    wide[:250, 120:370] = portrait
    return [portrait, np.full((120, 160, 3), 90, np.uint8), wide]


def at_hand(entry: DetectorEntry) -> None:
    """Skip where the weights are not on this machine."""
    try:
        detector_weights(entry.name)
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@ENTRIES
def test_a_batch_of_images_of_any_sizes(entry: DetectorEntry, drawn: list[RGBImage]) -> None:
    at_hand(entry)
    one, nobody, shifted = create_detector(entry.name).detect(drawn)
    assert nobody == []
    (face,), (moved,) = one, shifted
    assert np.abs(np.subtract(moved.box, face.box) - (120, 0, 120, 0)).max() < 12
    for found in (face, moved):
        assert isinstance(found, Face)
        assert isinstance(found.score, float)
        assert found.box.left < 250 < found.box.right + 250
        assert found.found
        if entry.points:
            assert found.landmarks is not None
            assert found.landmarks.shape == (5, 2)
            assert found.landmarks.dtype == np.float64
            left, right, nose, *mouth = found.landmarks
            assert left[0] < nose[0] < right[0]
            assert max(left[1], right[1]) < nose[1] < min(corner[1] for corner in mouth)
        else:
            assert found.landmarks is None


@ENTRIES
def test_no_images(entry: DetectorEntry) -> None:
    at_hand(entry)
    assert create_detector(entry.name).detect([]) == []


@ENTRIES
def test_options_have_defaults_and_keywords(entry: DetectorEntry) -> None:
    options = entry.options()
    # Manifests of before there were these to choose do not name them.
    later = ("stages", "dtype")
    named = [field.name for field in fields(options) if field.name not in later]
    assert list(options.as_dict()) == named
    assert all(field.kw_only for field in fields(options))
    with pytest.raises(TypeError):
        entry.options(1)  # type: ignore[call-arg]


@ENTRIES
def test_published_files(entry: DetectorEntry) -> None:
    assert entry.score
    assert entry.source
    assert entry.licence
    for file in entry.weights:
        assert file.name.startswith(f"{entry.name}.")
        assert len(file.sha256) == 64
        assert file.page
        assert file.licence
        assert file.urls or file.package or file.archive


@pytest.mark.parametrize("name", ["cnn", "mtcnn"])
def test_checksums_of_what_comes_with_the_install(name: str) -> None:
    entry = detector_entry(name)
    for file, path in zip(entry.weights, detector_weights(name), strict=True):
        assert path.stat().st_size == file.size
        assert digest(path) == file.sha256


def test_description() -> None:
    described = describe_detector("cnn", DetectionSettings(options=DlibOptions(upsample=0)))
    assert described == {
        "name": "cnn",
        "options": {"upsample": 0},
        "weights": {"mmod_human_face_detector.dat": detector_entry("cnn").weights[0].sha256},
        "detect_at": None,
        "rotate": "never",
    }
    assert describe_detector("hog")["weights"] == {}


def test_an_unknown_detector() -> None:
    with pytest.raises(UsageError, match="no detector 'dog'; known are hog, cnn, mtcnn, scrfd"):
        create_detector("dog")


def test_options_of_another_detector() -> None:
    with pytest.raises(UsageError, match="MtcnnOptions do not belong to the detector hog"):
        create_detector("hog", DetectionSettings(options=MtcnnOptions()))


def test_a_detector_nobody_publishes_weights_for() -> None:
    with pytest.raises(WeightsError, match="no weights are published for retinaface; give a file"):
        create_detector("retinaface")


def test_any_of_the_choices_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"get them with: facetool models fetch scrfd\.det_10g"):
        detector_weights("scrfd")
    smaller = tmp_path / "weights" / "det_2.5g.onnx"
    smaller.parent.mkdir()
    smaller.touch()
    assert detector_weights("scrfd") == (smaller,)


@pytest.mark.parametrize("wrong", [{"min_score": 0.0}, {"max_overlap": 1.1}])
def test_shares_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}: give"):
        YunetOptions(**wrong)


def test_weights_for_a_detector_that_takes_none() -> None:
    (path,) = detector_weights("cnn")
    with pytest.raises(UsageError, match="detector_weights: mtcnn takes no other"):
        create_detector("mtcnn", DetectionSettings(weights=path))


def test_the_registry_is_data() -> None:
    code = (
        "import sys, facetool.detection.registry; "
        "print([m for m in ('torch', 'dlib', 'cv2', 'numpy') if m in sys.modules])"
    )
    line = [sys.executable, "-c", code]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "[]\n"
