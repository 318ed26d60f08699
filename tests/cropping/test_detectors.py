"""What is said where a detector's weights cannot be had."""

import pickle
from pathlib import Path

import pytest

from facetool.alignment.recipes import DLIB_CHIP, override
from facetool.cli.messages import error_text
from facetool.cropping.detectors import detector_weights
from facetool.detection.options import DetectionSettings
from facetool.errors import FormatError, WeightsError
from facetool.pipeline.align import AlignSettings, align


def test_weights_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as raised:
        detector_weights("yunet")
    assert error_text(raised.value).endswith(
        "get them with: facetool models fetch yunet.2023mar; or give a file with "
        "--detector-weights FILE"
    )


@pytest.mark.parametrize(
    ("detector", "message"), [("cnn", "w is a Python pickle"), ("yunet", "w: not an ONNX file")]
)
def test_weights_that_cannot_be_read_are_no_fault_of_the_photos(
    album: Path, tmp_path: Path, detector: str, message: str
) -> None:
    """Each worker died of them, with a traceback, and each photo failed."""
    (tmp_path / "w").write_bytes(pickle.dumps({"a": 1}))
    crop = override(DLIB_CHIP, detector=detector)
    settings = AlignSettings(crop=crop, detection=DetectionSettings(weights=tmp_path / "w"))
    with pytest.raises(FormatError, match=message):
        align(album, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()
