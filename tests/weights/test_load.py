"""Names and files become networks."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import facetool
from facetool.alignment import recipes
from facetool.errors import FacetoolError, FormatError, UsageError, WeightsError
from facetool.files.dlib_files import FACE_RECOGNITION_RESNET, dlib_model_path
from facetool.networks.base import NetworkInfo
from facetool.networks.registry import ARCHITECTURES, create
from facetool.weights import catalogue, download, load, safetensors
from facetool.weights.load import _with_recipe, load_network, read_network
from facetool.weights.readers import dlib_dat


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", ["dlib-resnet", "DLIB-ResNet.V1"])
def test_default_model_needs_no_download(name: str, home: Path) -> None:
    network = facetool.load_network(name)
    assert network.info.architecture == "dlib-resnet"
    assert network.info.weights_name == "dlib-resnet.v1"
    assert network.info.weights_path is not None
    content = network.info.weights_path.read_bytes()
    assert network.info.weights_sha256 == hashlib.sha256(content).hexdigest()
    assert not network.training
    assert network.recipe.crop == recipes.DLIB_CHIP


def test_published_weights_are_read_for_one_checksum_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(path: Path, algorithm: str = "sha256") -> str:
        asked.append(algorithm)
        return download.digest(path, algorithm)

    monkeypatch.setattr(load, "digest", counted)
    assert load_network("dlib-resnet").info.weights_name == "dlib-resnet.v1"
    assert asked == ["sha256"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nn4.small2", "facetool models fetch nn4.small2.v1"),
        ("nn4", "facetool models fetch nn4.v2"),
        ("nn4.v1", "facetool models fetch nn4.v1"),
        ("lresnet100e-ir", "facetool models fetch lresnet100e-ir.onnx-zoo"),
        ("lresnet50e-ir", "facetool models fetch lresnet50e-ir.w600k"),
        (
            "lresnet50e-ir.ms1m-v1",
            "put it in .* and run: facetool models fetch lresnet50e-ir.ms1m-v1",
        ),
        ("nn2", "no weights are published"),
        ("lresnet100e-ir.onnx-zoo-int8", "8 bits"),
    ],
)
def test_weights_that_are_not_available(name: str, hint: str, home: Path) -> None:
    with pytest.raises(WeightsError, match=hint) as caught:
        load_network(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given", [{"source": ""}, {"weights": ""}, {"source": "a.t7", "weights": ""}]
)
def test_an_empty_name_is_not_the_default(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"no network ''|^weights='': give a file"):
        load_network(**given)  # type: ignore[arg-type]


def test_published_file_in_the_store(home: Path, shared: Path) -> None:
    golden = shared / "golden/torch7/nn4.small2.old2016.t7"
    home.joinpath("nn4.small2.v1.t7").symlink_to(golden)
    network = load_network("NN4.small2")
    assert network.info.weights_name == "nn4.small2.v1"
    assert network.info.variant == "january2016"
    assert network.recipe.crop == recipes.OPENFACE_OUTER
    assert network.recipe.scale == pytest.approx(1 / 255)


@pytest.mark.slow
def test_recipe_of_a_name_goes_with_its_file(
    home: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = replace(
        catalogue.CATALOGUE["nn4.small2.v1"],
        name="nn4.small2.inner",
        file="inner.t7",
        crop=recipes.OPENFACE_INNER,
        md5="",
    )
    monkeypatch.setitem(catalogue.CATALOGUE, inner.name, inner)
    golden = shared / "golden/torch7/nn4.small2.t7"
    overridden = load_network(inner.name, golden)
    assert overridden.recipe.crop == recipes.OPENFACE_INNER
    assert overridden.info.weights_name == "nn4.small2.t7"
    home.joinpath(inner.file).symlink_to(golden)
    assert load_network(home / inner.file).info.weights_name == inner.name
    assert load_network(golden).recipe.crop == recipes.OPENFACE_OUTER
    converted = home / "converted.safetensors"
    safetensors.save_network(overridden, converted, source=golden)
    assert load_network("nn4.small2", converted).recipe == overridden.recipe


def test_a_file_without_a_recipe_has_that_of_its_architecture() -> None:
    known = ARCHITECTURES["inception-resnet-v1"]
    with torch.device("meta"):
        network = create(known.name)
    for size, recipe in (((160, 160), known.recipe), (None, known.recipe), ((112, 112), None)):
        info = NetworkInfo(input_size=size)
        assert _with_recipe(info, known, network).recipe == recipe


def test_known_by_checksum(shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    golden = shared / "golden/mxnet/y1-0000.params"
    known = replace(
        catalogue.CATALOGUE["mobilefacenet.ms1m-v1"],
        sha256=hashlib.sha256(golden.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(catalogue.CATALOGUE, known.name, known)
    assert read_network(golden).info.weights_name == known.name


def test_weights_of_another_network(shared: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds nn4\.small2, not nn2"):
        load_network("nn2", shared / "golden/torch7/nn4.small2.t7")


def test_twin_names_take_the_same_weights(tmp_path: Path) -> None:
    network = create("lresnet49e-ir", filters=(4, 4, 4, 8, 8)).eval()
    path = tmp_path / "x.safetensors"
    safetensors.save_network(network, path)
    assert load_network("lresnet50e-ir", path).info.architecture == "lresnet49e-ir"


@pytest.mark.parametrize("source", ["nn4.smal2", "no/such/file.t7", "nothing.onnx", Path("gone")])
def test_neither_name_nor_file(source: str | Path) -> None:
    with pytest.raises(UsageError, match=str(source)):
        load_network(source)


def test_absent_device() -> None:
    with pytest.raises(UsageError, match="cuda:77"):
        load_network("dlib-resnet", device="cuda:77")


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    [
        "golden/torch7/nn4.small2.t7",
        "golden/mxnet/tiny18_zoolike_spatial1.onnx",
        "weights/mobilefacenet-112x96.ckpt",
        "dlib",
    ],
)
def test_content_goes_before_the_name(file: str, shared: Path, tmp_path: Path) -> None:
    source = shared / file
    if file == "dlib":
        source = load_network("dlib-resnet").info.weights_path or source
    suffix = ".onnx" if source.suffix == ".onnx" else ".weights"
    renamed = tmp_path / f"renamed{suffix}"
    shutil.copy(source, renamed)
    assert read_network(renamed).state_dict().keys() == read_network(source).state_dict().keys()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("page.t7", b"\n<!DOCTYPE html><html>", "web page"),
        ("pointer.onnx", b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        ("r100-symbol.json", b"{}", r"\.params"),
        ("notes.txt", b"hello", "readable are .t7"),
        ("empty.t7", b"", "empty"),
        ("short.pt", b"PK\x03\x04", "short.pt"),
    ],
)
def test_files_that_are_no_weights(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_network(path)
    assert name in str(caught.value)


def test_library_is_light_until_used() -> None:
    code = "import sys, facetool; assert 'torch' not in sys.modules; facetool.FacetoolError"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert issubclass(UsageError, FacetoolError)
    with pytest.raises(AttributeError, match="nothing"):
        facetool.nothing  # noqa: B018


def test_tensors_are_aligned(shared: Path, tmp_path: Path) -> None:
    network = read_network(shared / "golden/torch7/nn4.small2.t7")
    safetensors.save_network(network, tmp_path / "x.safetensors")
    for loaded in (network, read_network(tmp_path / "x.safetensors")):
        assert not any(tensor.data_ptr() % 64 for tensor in loaded.state_dict().values())


def test_tensors_of_dlib_are_copied_once_and_aligned() -> None:
    path = dlib_model_path(FACE_RECOGNITION_RESNET)
    state = dlib_dat.load(path).state_dict()
    assert not any(tensor.data_ptr() % 64 for tensor in state.values() if tensor.ndim)


def test_batches_of_any_size() -> None:
    network = load_network("dlib-resnet")
    with torch.inference_mode():
        x = torch.randint(0, 256, (3, 3, 150, 150)).float()
        assert torch.allclose(network(x)[:1], network(x[:1]), atol=1e-5)
