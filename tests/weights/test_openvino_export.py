from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.errors import FacetoolError, OutputError, WeightsError
from facetool.networks.registry import create
from facetool.pipeline.models import export
from facetool.weights import safetensors
from facetool.weights.catalogue import resolve
from facetool.weights.load import read_network
from facetool.weights.openvino_export import export_openvino, new_files

openvino = pytest.importorskip("openvino")


@pytest.mark.slow
@pytest.mark.parametrize(("bgr", "half"), [(False, False), (True, False), (False, True)])
def test_the_file_computes_the_same_and_says_its_recipe(
    bgr: bool, half: bool, tmp_path: Path
) -> None:
    network = create("mobilefacenet", embedding_size=16).eval()
    safetensors.save_network(network, tmp_path / "x.safetensors")
    target = tmp_path / "out" / "x.xml"
    assert export(str(tmp_path / "x.safetensors"), target, bgr=bgr, half=half) == "fc1"
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


@pytest.mark.parametrize("earlier", [False, True])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    earlier: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: object, path: str, **options: bool) -> None:
        Path(path).write_bytes(b"half of it")
        raise RuntimeError("basic_ios::clear: iostream error\n")

    monkeypatch.setattr(openvino, "save_model", fail)
    files = {"x.xml": b"old", "x.bin": b"old, too"} if earlier else {}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    network = create("mobilefacenet", embedding_size=16).eval()
    with pytest.raises(OutputError, match=r"x\.xml: is the disk full\?.*iostream error$"):
        export_openvino(network, tmp_path / "x.xml", fold=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "x.xml").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "x.xml", tmp_path / "file" / "x.xml"):
        with pytest.raises(OutputError, match=f"^cannot write {path}: "), new_files(path):
            pytest.fail("it begins")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "x.xml"]


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
