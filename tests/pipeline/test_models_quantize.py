"""A network of 8 bits, made on drawn faces and used as any weights file."""

import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.cli.tables.models import info_text
from facetool.embedding import embedder
from facetool.embedding.embedder import Embedder, resolve_dtype
from facetool.errors import FormatError, UsageError, WeightsError
from facetool.images.read import read_image
from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.pipeline.models import network_info
from facetool.pipeline.models_quantize import QuantizedNetwork, quantize_network
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.weights.load import load_network, read_network
from facetool.weights.quantize import quantize

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> QuantizedNetwork:
    pytest.importorskip("nncf")
    target = tmp_path_factory.mktemp("quantised") / "x.xml"
    return quantize_network("dlib-resnet", target, calibrate=crops)


@pytest.mark.slow
def test_it_knows_its_network_and_agrees_with_it(
    made: QuantizedNetwork, crops: Path, tmp_path: Path
) -> None:
    assert sorted(path.name for path in made.path.parent.iterdir()) == ["x.bin", "x.xml"]
    assert made.crops == 24 and made.report.exit_code == 0
    assert 0.95 < made.lowest_cosine <= made.cosine < 1
    original, network = load_network("dlib-resnet"), load_network(made.path)
    assert network.info.architecture == "dlib-resnet"
    assert network.info.recipe == original.info.recipe
    ours, theirs = network.info.threshold, original.info.threshold
    assert ours is not None and theirs is not None
    assert ours == replace(theirs, data_set=f"{theirs.data_set}, before quantisation")
    told = network_info(str(made.path))
    assert (told.name, told.weights) == ("x.xml", [])  # the published accuracy is not its own
    lines = info_text(told.as_dict()).splitlines()
    run_by = "OpenVINO, as the file has it, much of it in 8 bits: parameters are not counted"
    assert f"run by        {run_by}" in lines
    assert "made from     dlib-resnet.v1" in lines
    assert not any(line.startswith(("parameters", "operations")) for line in lines)
    values = told.as_dict()
    counts = ("parameters", "parameters_folded", "multiply_adds", "flops")
    assert [values[one] for one in counts] == [None] * 4
    assert not network.info.assumed
    listed = network_info(str(made.path), layers=True).graph
    assert listed is not None and listed[-1]["shape"] == [128]
    kinds = Counter(one["kind"] for one in listed)
    assert (kinds["Convolution"], kinds["MatMul"]) == (29, 1)
    assert kinds["FakeQuantize"] == 28  # before all of them but the first and the last

    represent(crops, tmp_path / "reps", network, RepresentSettings(batch_size=7))
    described = json.loads((tmp_path / "reps" / "represent.json").read_text())
    assert described["weights"] == {"name": "x.xml", "sha256": network.info.weights_sha256}
    assert described["engine"] == "openvino" and described["versions"]["openvino"]
    asked = RepresentSettings(device="cpu", batch_size=7, engine="openvino")
    again = represent(crops, tmp_path / "reps", network, asked)
    assert "24 already there" in str(again)
    found = np.load(tmp_path / "reps" / "reps.npy")
    images = [read_image(path) for path in sorted(crops.glob("*/*.png"))]
    expected = Embedder(original, CPU).embed(np.stack(images))
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1)
    assert (cosines / np.linalg.norm(expected, axis=1)).min() > 0.95
    assert made.path.with_suffix(".bin").stat().st_size < 6_000_000  # of 22 MB


@pytest.mark.slow
def test_the_engine_is_its_own(made: QuantizedNetwork, crops: Path) -> None:
    network = read_network(made.path)
    image = np.stack([read_image(min(crops.glob("*/*.png")))])
    plain, asked = (
        Embedder(network, CPU, engine=one).embed(image) for one in ("torch", "openvino")
    )
    assert np.array_equal(plain, asked)
    with pytest.raises(UsageError, match="OpenVINO computes in float32 or bfloat16"):
        Embedder(network, CPU, "float16")


@pytest.mark.slow
@pytest.mark.parametrize("native", [True, False])
def test_what_is_not_of_8_bits_may_be_bfloat16(
    made: QuantizedNetwork, crops: Path, monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    network = read_network(made.path)
    monkeypatch.setattr(embedder, "_has_bfloat16", lambda device: native)
    assert resolve_dtype("auto", CPU, network) == ("bfloat16" if native else "float32")
    assert resolve_dtype("auto", torch.device("mps"), network) == resolve_dtype(
        "auto", CPU, network
    )
    capabilities = ["FP32", "INT8", "BF16"] if native else ["FP32", "INT8"]
    monkeypatch.setattr(
        "openvino.Core.get_property", lambda core, device, name: capabilities, raising=True
    )
    image = np.stack([read_image(min(crops.glob("*/*.png")))])
    if not native:
        with pytest.raises(UsageError, match="this processor has no bfloat16"):
            Embedder(network, CPU, "bfloat16")
        return
    exact = Embedder(network, CPU).embed(image)[0]
    found = Embedder(network, CPU, "bfloat16").embed(image)[0]
    assert found.dtype == np.float32 and not np.array_equal(found, exact)
    assert found @ exact > 0.999 * np.linalg.norm(found) * np.linalg.norm(exact)


@pytest.mark.slow
def test_both_files_are_of_one_network(made: QuantizedNetwork, tmp_path: Path) -> None:
    for suffix in (".xml", ".bin"):
        shutil.copy(made.path.with_suffix(suffix), tmp_path / f"y{suffix}")
    numbers = bytearray((tmp_path / "y.bin").read_bytes())
    numbers[len(numbers) // 2] ^= 1
    (tmp_path / "y.bin").write_bytes(numbers)
    with pytest.raises(
        FormatError, match=r"y\.bin beside it belongs to another file or is damaged"
    ):
        read_network(tmp_path / "y.xml")
    for cut in (0, 1, len(numbers) // 2, len(numbers) - 1):
        (tmp_path / "y.bin").write_bytes(numbers[:cut])
        with pytest.raises(
            FormatError, match=r"^\S+y\.xml.*y\.bin beside it .*; copy or write both again"
        ):
            read_network(tmp_path / "y.xml")


@pytest.mark.slow
def test_what_is_quantised_already_is_not_quantised_again(
    made: QuantizedNetwork, crops: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=r"take dlib-resnet\.v1 to convert, quantise or train"):
        quantize_network(str(made.path), tmp_path / "z.xml", calibrate=crops)
    assert not list(tmp_path.iterdir())


def test_what_it_needs(crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"call it \*\.xml"):
        quantize_network("dlib-resnet", tmp_path / "x.onnx", calibrate=crops)
    with pytest.raises(UsageError, match="nothing says that its images are crops"):
        quantize_network("dlib-resnet", tmp_path / "x.xml", calibrate=tmp_path)
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(UsageError, match=r"pip install 'facetool\[quantize\]'"):
        quantize_network("dlib-resnet", tmp_path / "x.xml", calibrate=crops)
    assert not list(tmp_path.iterdir())


class Grouped(EmbeddingNetwork):
    """Plain, grouped and depthwise convolutions, the second as wide as asked for, and a product."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=8, recipe=Recipe(crop=ARCFACE_112))
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2),
            nn.ReLU(),
            nn.Conv2d(8, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 8, 3, 2, groups=2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 2, groups=8),
            nn.ReLU(),
        )
        self.last = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layers(x).mean((2, 3)))


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "first"), [(8, "FakeQuantize"), (64, "Parameter")])
def test_only_depthwise_convolutions_and_cheap_ends_stay(
    channels: int, first: str, tmp_path: Path
) -> None:
    pytest.importorskip("nncf")
    openvino = pytest.importorskip("openvino")
    crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)
    quantize(Grouped(channels).eval(), list(crops), tmp_path / "x.xml")
    model = openvino.Core().read_model(tmp_path / "x.xml")

    def name_before(layer: Any) -> str:
        before = layer.input_value(0).get_node()
        name: str = before.get_type_name()
        return name_before(before) if name == "Multiply" else name  # which smooths channels

    before = [
        (f"{layer.get_type_name()} {layer.input_value(1).shape[0]}", name_before(layer))
        for layer in model.get_ordered_ops()
        if "Convolution" in layer.get_type_name() or layer.get_type_name() == "MatMul"
    ]
    assert before == [
        ("Convolution 8", first),
        (f"Convolution {channels}", "FakeQuantize"),
        ("GroupConvolution 2", "FakeQuantize"),
        ("GroupConvolution 8", "Relu"),
        ("MatMul 8", "ReduceMean"),
    ]


@pytest.mark.slow
def test_weights_fill_half_of_their_range(made: QuantizedNetwork) -> None:
    """Two products of full 8 bits, as processors without VNNI add them, overflow 16."""
    openvino = pytest.importorskip("openvino")
    layers = openvino.Core().read_model(made.path).get_ordered_ops()
    weights = [one.data for one in layers if one.get_type_name() == "Constant"]
    largest = [np.abs(one.astype(int)).max() for one in weights if one.dtype == np.int8]
    assert len(largest) > 20 and max(largest) <= 64
