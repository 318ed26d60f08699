"""``align`` on the command line."""

from pathlib import Path

import pytest
import torch

from facetool.alignment.recipes import ARCFACE_112X96
from facetool.files.align_description import read_align_description
from facetool.networks.registry import create
from facetool.weights.safetensors import save_network
from tests.cli.conftest import Run
from tests.field.test_network_inputs import write


@pytest.mark.slow
@pytest.mark.parametrize("detector", [None, "hog"])
def test_crops_are_those_of_a_weights_file(
    run: Run, album: Path, tmp_path: Path, detector: str | None
) -> None:
    with torch.random.fork_rng():
        save_network(create("mobilefacenet-112x96").eval(), tmp_path / "own.safetensors")
    own = ("--weights", tmp_path / "own.safetensors")
    photos = min(album.iterdir())
    given = () if detector is None else ("--detector", detector)
    done = run("align", photos, tmp_path / "crops", *own, *given)
    assert done.returncode in (0, 1), done.stderr
    described = read_align_description(tmp_path / "crops")
    assert described is not None and described.crop is not None
    crop = described.crop
    assert (crop["height"], crop["width"]) == (ARCFACE_112X96.height, ARCFACE_112X96.width)
    assert crop["detector"] == (detector or ARCFACE_112X96.detector)
    assert "represented" in run("represent", tmp_path / "crops", tmp_path / "reps", *own).stderr


def test_a_file_that_states_no_crop_is_refused(run: Run, album: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx", (224, 224))
    done = run("align", album, tmp_path / "crops", "--weights", path)
    assert done.returncode == 2
    assert "x.onnx does not say how faces are cut out for it; give --landmarks" in done.stderr
    assert not (tmp_path / "crops").exists()
