"""Where detectors run."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import facetool
from facetool.cropping.detectors import detector_device
from facetool.errors import UsageError


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
