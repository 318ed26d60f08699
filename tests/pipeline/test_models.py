"""What the catalogue says of networks, counted on the networks themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from facetool.errors import FacetoolError, UsageError
from facetool.networks.registry import ARCHITECTURES, create
from facetool.pipeline import models
from facetool.weights import safetensors
from facetool.weights.catalogue import CATALOGUE
from facetool.weights.load import load_network


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


def test_list_has_everything_once(home: Path) -> None:
    rows = {row.name: row.as_dict() for row in models.list_models()}
    without = [name for name in rows if name not in CATALOGUE]
    assert set(rows) - set(without) == set(CATALOGUE)
    published = {entry.architecture for entry in CATALOGUE.values()}
    assert set(without) == set(ARCHITECTURES) - published
    assert rows["dlib-resnet.v1"]["status"] == "available locally"
    assert rows["nn4.small2.v1"]["status"] == "fetch"
    assert rows["lresnet34e-ir.ms1m-v1"]["status"] == "download by hand"
    assert rows["lresnet100e-ir.onnx-zoo-int8"]["status"] == "not runnable"
    home.joinpath("nn4.small2.v1.t7").touch()
    rows = {row.name: row.as_dict() for row in models.list_models()}
    assert rows["nn4.small2.v1"]["status"] == "available locally"
    json.dumps(list(rows.values()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("nn4.small2", 3_733_968),
        ("nn4.small1", 5_579_520),
        ("nn4", 6_959_088),
        ("nn2", 7_472_144),
        ("mobilefacenet", 1_003_264),
    ],
)
def test_published_numbers_of_parameters(name: str, parameters: int, home: Path) -> None:
    assert models.network_info(name.upper()).parameters == parameters


@pytest.mark.slow
def test_arcface_as_openvino_counts_it(home: Path) -> None:
    values = models.network_info("lresnet100e-ir").as_dict()
    assert values["parameters"] == 65_156_160
    assert values["parameters_folded"] == 65_131_968
    assert f"{values['flops'] / 1e9:.4f}" == "24.2115"
    assert values["layers"] == {
        "convolution": 103,
        "batch normalisation": 154,
        "PReLU": 50,
        "fully connected": 1,
    }


def test_weights_have_their_own_recipe(home: Path) -> None:
    values = models.network_info("nn4.v1").as_dict()
    assert values["recipe"]["crop"]["landmarks"] == "innerEyesAndBottomLip"
    assert values["variant"] == "january2016"
    assert [entry["name"] for entry in values["weights"]] == ["nn4.v1"]


def test_info_of_a_file(shared: Path) -> None:
    path = shared / "golden/torch7/nn4.small2.old2016.t7"
    values = models.network_info(str(path)).as_dict()
    assert (values["architecture"], values["variant"]) == ("nn4.small2", "january2016")
    assert values["file"] == str(path)
    assert len(values["sha256"]) == 64
    assert models.network_info("nn4.small2", path).parameters == values["parameters"] == 3_733_968


def test_info_of_nothing() -> None:
    with pytest.raises(UsageError):
        models.network_info("nn5")


def test_verify(home: Path) -> None:
    row, *detectors = [one.as_dict() for one in models.verify([])]
    assert row["name"] == "dlib-resnet.v1"
    assert row["ok"]
    assert {one["name"] for one in detectors} >= {"cnn.v1", "mtcnn.pnet"}
    assert all(one["ok"] and one["check"] == "sha256" for one in detectors)
    assert row["check"] == "sha256"
    home.joinpath("nn4.small2.v1.t7").write_bytes(b"not it")
    home.joinpath("nn4.v2.t7").write_bytes(b"who knows")
    rows = {row.name: row.as_dict() for row in models.verify([])}
    assert not rows["nn4.small2.v1"]["ok"]
    assert rows["nn4.v2"] == {
        "name": "nn4.v2",
        "path": str(home / "nn4.v2.t7"),
        "ok": True,
        "check": "",
    }
    (missing,) = [one.as_dict() for one in models.verify(["nn4.v1"])]
    assert not missing["ok"]
    assert "models fetch nn4.v1" in missing["problem"]
    with pytest.raises(UsageError, match=r"nn4\.v2\.t7 is a file, .* models info shows"):
        models.verify([str(home / "nn4.v2.t7")])


def test_a_name_comes_before_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dlib-resnet").touch()
    assert [file.name for file in models.published_files("dlib-resnet")] == ["dlib-resnet.v1"]


def test_convert(shared: Path, tmp_path: Path) -> None:
    target = tmp_path / "y1.safetensors"
    models.convert(shared / "golden/mxnet/y1-0000.params", target)
    network = load_network(target)
    assert network.info.architecture == "mobilefacenet"
    assert network.info.weights_name == "y1.safetensors"


def test_names_of_new_files(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="safetensors"):
        models.convert(shared / "golden/mxnet/y1-0000.params", tmp_path / "y1.pt")
    with pytest.raises(FacetoolError):
        models.convert(tmp_path / "gone.t7", tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("name", "asked", "reason"),
    [
        ("x.pt", {}, r"x\.pt: the new file is ONNX, so call it \*\.onnx"),
        ("x.xml", {"to": "onnx"}, r"the new file is ONNX, so call it \*\.onnx"),
        ("x.onnx", {"to": "openvino"}, r"the new file is OpenVINO's, so call it \*\.xml"),
        ("x.onnx", {"bgr": True}, "bgr and half are for OpenVINO"),
        ("x.XML", {"to": "onnx", "half": True}, "bgr and half are for OpenVINO"),
        ("x.onnx", {"to": "caffe"}, "^to='caffe': give one of onnx, openvino$"),
    ],
)
def test_an_exported_file_is_called_like_its_format(
    name: str, asked: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=reason):
        models.export("dlib-resnet", tmp_path / name, **asked)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_embedding_is_called_as_export_says(tmp_path: Path) -> None:
    import onnx

    network = create("mobilefacenet", embedding_size=16).eval()
    safetensors.save_network(network, tmp_path / "x.safetensors")
    for given in (None, "onnx"):
        target = tmp_path / f"{given}.ONNX"
        said = models.export(str(tmp_path / "x.safetensors"), target, to=given)
        assert [one.name for one in onnx.load(target).graph.output] == [said]
