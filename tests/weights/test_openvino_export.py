from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.errors import FacetoolError, WeightsError
from facetool.networks.registry import create
from facetool.pipeline.models import export_to_openvino
from facetool.weights import safetensors
from facetool.weights.catalogue import resolve
from facetool.weights.load import read_network

openvino = pytest.importorskip("openvino")


@pytest.mark.slow
@pytest.mark.parametrize(("bgr", "half"), [(False, False), (True, False), (False, True)])
def test_the_file_computes_the_same_and_says_its_recipe(
    bgr: bool, half: bool, tmp_path: Path
) -> None:
    network = create("mobilefacenet", embedding_size=16).eval()
    safetensors.save_network(network, tmp_path / "x.safetensors")
    target = tmp_path / "out" / "x.xml"
    export_to_openvino(str(tmp_path / "x.safetensors"), target, bgr=bgr, half=half)
    assert sorted(path.name for path in target.parent.iterdir()) == ["x.bin", "x.xml"]

    again = read_network(target)
    assert again.recipe.channels == ("BGR" if bgr else "RGB")
    x = torch.rand(3, 3, 112, 112) * 255
    with torch.inference_mode():
        expected = network(x).numpy()
        found = again(x.flip(1) if bgr else x).numpy()
    tolerance = 2e-2 if half else 1e-5
    assert np.abs(found - expected).max() < tolerance * expected.std()
    model = openvino.Core().read_model(str(target))
    assert "fc1" in model.output().get_names()


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_text("<?xml version='1.0'?><net name='x' version='11'></net>")
    with pytest.raises(WeightsError, match=r"x\.bin, do not lie beside"):
        read_network(path)
    path.with_suffix(".bin").write_bytes(b"\0" * 8)
    with pytest.raises(FacetoolError) as caught:
        read_network(path)
    assert "\n" not in str(caught.value)


def test_the_model_zoos_name() -> None:
    assert resolve("face-recognition-resnet100-arcface-onnx").name == "lresnet100e-ir.onnx-zoo"
