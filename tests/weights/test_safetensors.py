"""Our own format: what goes in comes out, and what never went in is refused."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from facetool.alignment.recipes import OPENFACE_INNER, Recipe
from facetool.errors import FacetoolError, FormatError, OutputError, WeightsError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.graph import GraphNetwork, Node, build_graph
from facetool.networks.registry import create
from facetool.weights import safetensors
from facetool.weights.download import digest
from facetool.weights.load import read_network

FOREIGN = [
    "torch7/nn4.small2.t7",
    "torch7/nn4.small2.old2016.t7",
    "mxnet/tiny18-0000.params",
    "mxnet/y1-0000.params",
    "mxnet/tiny18_zoolike_spatial0.onnx",
    "mxnet-backbones/p92tiny-0000.params",
]


def crops(network: EmbeddingNetwork, count: int = 2) -> torch.Tensor:
    crop = network.recipe.crop
    pixels = torch.randint(0, 256, (count, 3, crop.height, crop.width))
    return (pixels - torch.tensor(network.recipe.mean)) * torch.tensor(network.recipe.scale)


def describe(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        value: dict[str, Any] = json.loads(file.metadata()["facetool"])
    return value


def small_graph() -> GraphNetwork:
    """Two layers on 96x96 crops, enough to be damaged."""
    nodes = [
        Node("pool", "avg_pool", ("input",), {"kernel_size": 24}),
        Node("flat", "flatten", ("pool",)),
        Node("fc", "linear", ("flat",), {"in_features": 48, "out_features": 5}),
    ]
    network = build_graph(nodes, {"fc.weight": torch.rand(5, 48), "fc.bias": torch.rand(5)})
    recipe = Recipe(OPENFACE_INNER, scale=1 / 255)
    network.info = replace(network.info, recipe=recipe, embedding_size=5)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", FOREIGN)
def test_converted_files_compute_the_same_bits(
    name: str, threads: int, shared: Path, tmp_path: Path
) -> None:
    source = shared / "golden" / name
    network = read_network(source)
    path = tmp_path / "converted.safetensors"
    safetensors.save_network(network, path, source=source)
    again = safetensors.load(path)
    x = crops(network)
    with torch.inference_mode():
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        same = torch.equal(again(x), network(x))
        torch.set_num_threads(before)
    assert same
    assert again.info.as_dict() == network.info.as_dict()
    assert not again.training
    assert describe(path)["source"] == {
        "file": source.name,
        "sha256": digest(source),
        "name": source.name,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dlib-resnet", {}),
        ("nn4.small2", {"pooling": "january2016", "embedding_size": 64}),
        ("mobilefacenet", {"blocks": (2, 2, 2, 2)}),
        ("lresnet18e-ir", {"filters": (8, 8, 8, 16, 16), "eps": 1e-5, "scale_input": False}),
    ],
)
def test_networks_built_by_name(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    network = create(name, **options).eval()
    path = tmp_path / "trained.safetensors"
    safetensors.save_network(network, path, training={"loss": "arcface", "steps": 10})
    again = safetensors.load(path)
    x = crops(network)
    with torch.inference_mode():
        assert torch.equal(again(x), network(x))
    assert type(again) is type(network)
    assert again.info.architecture == name
    assert describe(path)["training"] == {"loss": "arcface", "steps": 10}


def test_the_description_comes_back_whole(tmp_path: Path) -> None:
    network = small_graph()
    network.info = replace(network.info, unit_length=False)
    safetensors.save_network(network, tmp_path / "x.safetensors")
    assert safetensors.load(tmp_path / "x.safetensors").info == network.info


@pytest.mark.slow
def test_files_of_0_1_say_nothing_of_unit_length(tmp_path: Path) -> None:
    for name, unit_length in (("dlib-resnet", False), ("mobilefacenet", True)):
        path = tmp_path / f"{name}.safetensors"
        network = create(name)
        safetensors.save_network(network, path)
        header = describe(path)
        del header["unit_length"]
        save_file(dict(network.state_dict()), path, metadata={"facetool": json.dumps(header)})
        assert safetensors.load(path).info.unit_length == unit_length


def test_layers_that_are_not_trained_stay_so(tmp_path: Path) -> None:
    network = create("mobilefacenet")
    safetensors.save_network(network, tmp_path / "x.safetensors")
    again = safetensors.load(tmp_path / "x.safetensors")
    fixed = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert fixed == ["head.bn.weight"]
    assert fixed == [name for name, p in again.named_parameters() if not p.requires_grad]


def test_half_precision_is_widened(tmp_path: Path) -> None:
    network = small_graph().half()
    safetensors.save_network(network, tmp_path / "x.safetensors")
    again = safetensors.load(tmp_path / "x.safetensors")
    assert all(p.dtype == torch.float32 for p in again.parameters())
    stored = network.state_dict()["layers.fc.weight"]
    assert torch.equal(again.state_dict()["layers.fc.weight"], stored.float())


def test_unwritable(tmp_path: Path) -> None:
    tmp_path.joinpath("file").touch()
    with pytest.raises(OutputError):
        safetensors.save_network(small_graph(), tmp_path / "file" / "x.safetensors")


def rewrite(path: Path, **changes: Any) -> None:
    """Change fields of the description of a small network's file."""
    network = small_graph()
    safetensors.save_network(network, path)
    header = {**describe(path), **changes}
    save_file(dict(network.state_dict()), path, metadata={"facetool": json.dumps(header)})


def node(attributes: dict[str, Any], op: str = "linear") -> list[Any]:
    return ["fc", op, ["input"], attributes]


HUGE = 10**15


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": "1"},
        {"architecture": 5},
        {"architecture": "nn5", "options": {}},
        {"architecture": "nn4.small2", "options": {}},
        {"architecture": "lresnet18e-ir", "options": {"units": [10**6] * 4}},
        {"architecture": "lresnet18e-ir", "options": {"units": 4}},
        {"architecture": "lresnet18e-ir", "options": {"units": [[1]] * 4}},
        {"architecture": "lresnet18e-ir", "options": {"filters": [-1] * 5}},
        {"architecture": "lresnet18e-ir", "options": {"embedding_size": HUGE}},
        {"architecture": "lresnet18e-ir", "options": {"embedding_size": None}},
        {"architecture": "lresnet18e-ir", "options": {"device": "cuda"}},
        {"architecture": "linceptionresnetv2e", "options": {"divisor": 0}},
        {"options": []},
        {"options": {"nodes": 3}},
        {"options": {"nodes": []}},
        {"options": {"nodes": [["fc"]]}},
        {"options": {"nodes": [[["fc"], "linear", ["input"], {}]]}},
        {"options": {"nodes": [node({})]}},
        {"options": {"nodes": [node({}, "eval")]}},
        {"options": {"nodes": [node({"in_features": 48, "out_features": HUGE})]}},
        {"options": {"nodes": [node({"in_features": 48, "out_features": True})]}},
        {"options": {"nodes": [node({"in_features": 48, "out_features": 5, "device": 0})]}},
        {"options": {"nodes": [node({"in_features": 48, "out_features": 5, "dtype": "x"})]}},
        {"options": {"nodes": [node({"in_features": 48, "out_features": 5})]}},
        {"options": {"nodes": [node({"kernel_size": [[24]]}, "avg_pool")]}},
        {"unit_length": 1},
        {"recipe": {}},
        {"recipe": {"crop": [], "mean": 0, "scale": 1}},
        {"recipe": {"crop": {"method": "affine"}, "mean": 0, "scale": 1}},
        {"embedding_size": 6},
        {"embedding_size": "5"},
        {"variant": None},
        {"variant": "july2016"},
        {"architecture": "nn5"},
    ],
    ids=lambda changes: json.dumps(changes)[:60],
)
def test_lies_are_refused_at_once(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    rewrite(path, **changes)
    start = time.process_time()
    with pytest.raises(FormatError, match=r"x\.safetensors") as caught:
        safetensors.load(path)
    assert time.process_time() - start < 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "NaN"])
def test_other_descriptions(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(3)}, path, metadata={"facetool": text})
    with pytest.raises(FormatError):
        safetensors.load(path)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    safetensors.save_network(small_graph(), path)
    content = path.read_bytes()
    for end in range(0, len(content), 37):
        path.write_bytes(content[:end])
        with pytest.raises(FacetoolError):
            safetensors.load(path)
    path.write_bytes(b"\xff" * 8 + content[8:])
    with pytest.raises(FormatError):
        safetensors.load(path)


def test_normalisation_of_another_width(tmp_path: Path) -> None:
    nodes = [
        Node("bn", "batch_norm", ("input",), {"num_features": 4}),
        Node("pool", "global_avg_pool", ("bn",)),
        Node("flat", "flatten", ("pool",)),
    ]
    parts = ("weight", "bias", "running_mean", "running_var")
    network = build_graph(nodes, {f"bn.{part}": torch.ones(4) for part in parts})
    recipe = Recipe(OPENFACE_INNER, scale=1 / 255)
    network.info = replace(network.info, recipe=recipe, embedding_size=3)
    safetensors.save_network(network, tmp_path / "x.safetensors")
    with pytest.raises(FormatError, match="normalisation of 4 channels on 3"):
        safetensors.load(tmp_path / "x.safetensors")


def test_a_classifier_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "family.classifier"
    save_file({"means": torch.zeros(2, 3)}, path, metadata={"facetool-classifier": "{}"})
    with pytest.raises(WeightsError, match=r"family\.classifier is a classifier, not a network"):
        read_network(path)
