"""Where detectors run, and what is said where their weights cannot be had."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import facetool
from facetool.alignment.recipes import DLIB_CHIP, override
from facetool.cli.messages import error_text
from facetool.cropping.detectors import detector_device, detector_weights
from facetool.detection.options import DetectionSettings
from facetool.errors import FormatError, UsageError, WeightsError
from facetool.pipeline.align import AlignSettings, align


@pytest.mark.parametrize("there", [True, False])
def test_auto_is_the_gpu_for_detectors_that_can_use_one(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert detector_device("hog", "auto") == "cpu"
    assert detector_device("mtcnn", "auto") == ("cuda" if there else "cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert detector_device("mtcnn", torch.device("cuda:1")) == "cuda:1"
    assert detector_device("hog", "cuda:1") == detector_device("mtcnn", "cpu") == "cpu"


def test_what_is_not_here_may_be_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert detector_device("mtcnn", "cuda", elsewhere=True) == "cuda"
    assert detector_device("hog", "cuda", elsewhere=True) == "cpu"
    with pytest.raises(UsageError, match="this machine offers 0 CUDA devices"):
        detector_device("hog", "cuda")


def test_the_library_refuses_devices_as_the_commands_do() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    for device in ("gpu", "mps", torch.device("mps"), "cuda:all"):
        with pytest.raises(UsageError, match=f"^device='{device}'"):
            facetool.detect(image, device=device)
        with pytest.raises(UsageError, match=f"^device='{device}'"):
            facetool.FaceCropper(facetool.load_network("dlib-resnet").recipe.crop, device=device)


def test_a_detector_of_dlib_needs_no_torch() -> None:
    script = (
        "import sys\n"
        "from facetool.cropping.detectors import create_detector\n"
        "create_detector('hog')\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


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
