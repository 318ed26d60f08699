"""Networks from anywhere: what their files do not say of the input is asked for, or said."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from facetool.alignment.recipes import ARCFACE_112, DLIB_CHIP, Crop, Recipe
from facetool.alignment.stated_recipe import PARTS, RECIPES, StatedRecipe, parse_crop
from facetool.errors import FacetoolError, UsageError, WeightsError
from facetool.networks.pair_threshold import PairThreshold
from facetool.networks.registry import ARCHITECTURES, create
from facetool.pipeline import models
from facetool.weights import safetensors
from facetool.weights.catalogue import CATALOGUE
from facetool.weights.download import digest
from facetool.weights.load import load_network, read_network
from facetool.weights.onnx_export import export_onnx
from facetool.weights.safetensors import known_checksums
from tests.cli.conftest import Run, run  # noqa: F401


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What the library has warned of."""
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, handler = logging.getLogger("facetool"), Handler()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def write(path: Path, size: tuple[int | str, int | str] = (112, 112), extra: bool = False) -> Path:
    """A small network that pools all places, so that it runs on crops of any size."""
    rng = np.random.default_rng(5)
    tensors = {
        "w": rng.normal(0, 0.5, (4, 3, 3, 3)).astype(np.float32),
        "fc": rng.normal(0, 0.5, (6, 4)).astype(np.float32),
        "top": rng.normal(0, 0.5, (9, 6)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["/conv/out"], strides=[2, 2]),
        helper.make_node("Relu", ["/conv/out"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "fc"], ["features"], transB=1),
    ]
    if extra:
        nodes.append(helper.make_node("Gemm", ["features", "top"], ["classes"], transB=1))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", 3, *size])],
        [helper.make_tensor_value_info(nodes[-1].output[0], 1, None)],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("size", [(112, 112), ("H", "W")])
def test_what_is_assumed_is_said_in_one_line(
    size: tuple[int | str, int | str], tmp_path: Path, logged: list[str]
) -> None:
    path = write(tmp_path / "x.onnx", size)
    network = load_network(path)
    assert network.info.assumed == PARTS
    assert network.recipe == RECIPES["arcface"]
    (line,) = logged
    assert line.startswith(
        f"{path}: does not state all of its input; assumed: RGB; (pixels - 127.5)"
    )
    assert "\n" not in line
    logged.clear()
    stated = load_network(path, recipe=StatedRecipe(name="imagenet"))
    assert stated.recipe == RECIPES["imagenet"]
    assert not logged
    partly = load_network(path, recipe=StatedRecipe(channels="BGR"))
    assert partly.info.assumed == ("scaling", "crop")
    assert not any("BGR" in line for line in logged)


@pytest.mark.parametrize("size", [(160, 160), (224, 224), (112, 96)])
def test_a_declared_size_is_followed_or_refused(size: tuple[int, int], tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx", size)
    network = load_network(path)
    if size == (112, 96):
        assert network.recipe.crop == replace(ARCFACE_112, width=96)
        return
    with pytest.raises(WeightsError, match=f"which is {size[1]}x{size[0]} pixels; state a recipe"):
        network.recipe  # noqa: B018
    with pytest.raises(UsageError, match=f"no crops of 112x112 pixels, RGB: it takes {size[1]}x"):
        load_network(path, recipe=StatedRecipe(name="arcface"))
    crop = parse_crop(f"arcface:{size[1]}x{size[0]}")
    with pytest.raises(UsageError, match="nothing is known of this network's input"):
        load_network(path, recipe=StatedRecipe(crop=crop))
    told = load_network(path, recipe=StatedRecipe(name="arcface", crop=crop))
    assert told.recipe == replace(RECIPES["arcface"], crop=crop)


def test_a_recipe_may_be_given_by_name_or_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx")
    for recipe in ("magface", RECIPES["magface"], StatedRecipe(name="magface")):
        network = load_network(path, recipe=recipe)
        assert (network.recipe, network.info.assumed) == (RECIPES["magface"], ())
    with pytest.raises(UsageError, match="there is no recipe 'mag'; known are dlib, "):
        load_network(path, recipe="mag")


def test_gray_input_for_a_network_of_three_channels(tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx")
    with pytest.raises(UsageError, match="no crops of 112x112 pixels, gray"):
        load_network(path, recipe=StatedRecipe(channels="gray"))


@pytest.mark.slow
def test_what_is_stated_stays_in_a_converted_file(tmp_path: Path, logged: list[str]) -> None:
    path = write(tmp_path / "x.onnx")
    told, untold = tmp_path / "told.safetensors", tmp_path / "untold.safetensors"
    models.convert(path, told, recipe=StatedRecipe(name="magface"))
    assert not logged
    assert load_network(told).recipe == RECIPES["magface"]
    assert not logged
    models.convert(path, untold)
    logged.clear()
    assert load_network(untold).info.assumed == PARTS
    assert len(logged) == 1
    again = tmp_path / "again.onnx"
    models.export(str(untold), again)
    assert load_network(again).info.assumed == PARTS


def test_a_network_without_a_recipe_is_not_saved(tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx", (224, 224))
    with pytest.raises(WeightsError, match="nothing says how the input"):
        models.convert(path, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize("converted", [False, True])
def test_the_layer_of_the_embedding(converted: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx", extra=True)
    whole = read_network(write(tmp_path / "y.onnx"))
    if converted:
        target = tmp_path / "x.safetensors"
        models.convert(path, target)
        path = target
    assert load_network(path).info.embedding_size == 9
    network = load_network(path, output="features")
    assert network.info.embedding_size == 6
    assert network.info.weights_sha256 != load_network(path).info.weights_sha256
    assert network.info.weights_name == f"{path.name}, features"
    x = torch.rand(2, 3, 112, 112)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), whole(x))
    kept = tmp_path / "kept.safetensors"
    models.convert(path, kept, output="features")
    assert load_network(kept).info.embedding_size == 6
    assert known_checksums(kept) >= {digest(path), network.info.weights_sha256}
    with pytest.raises(FacetoolError, match=r"there is no layer 'featurs'; near are .*features"):
        load_network(path, output="featurs")
    with pytest.raises(FacetoolError, match="map, not one vector"):
        load_network(path, output="_conv_out")


def test_networks_built_by_name_have_one_output(tmp_path: Path) -> None:
    safetensors.save_network(create("mobilefacenet").eval(), tmp_path / "x.safetensors")
    with pytest.raises(UsageError, match="one output only"):
        load_network(tmp_path / "x.safetensors", output="fc")


def test_info_on_an_unknown_network(tmp_path: Path, run: Run) -> None:  # noqa: F811
    path = write(tmp_path / "x.onnx", (224, 224))
    done = run("models", "info", path)
    assert done.returncode == 0
    assert "3 x 224 x 224" in done.stdout
    assert "--recipe NAME" in done.stdout
    assert done.stdout.splitlines()[-1].split() == ["features", "linear", "6"]
    values = json.loads(run("models", "info", path, "--json").stdout)
    assert values["recipe"] is None and values["input"] == [3, 224, 224]
    assert values["graph"][0] == {"name": "_conv_out", "kind": "conv", "shape": [4, 111, 111]}
    told = run("models", "info", path, "--recipe", "arcface", "--crop", "arcface:224x224")
    assert "missing" not in told.stdout and "assumed" not in told.stdout


@pytest.mark.slow
def test_options_reach_the_network(tmp_path: Path, run: Run, crops: Path) -> None:  # noqa: F811
    path = write(tmp_path / "x.onnx", (150, 150))
    out = tmp_path / "reps"
    done = run("represent", crops, out, "--weights", path, "--quiet")
    assert done.returncode == 1 and "which is 150x150 pixels" in done.stderr
    options = ["--crop", "dlib", "--mean", "1,2,3", "--scale", "1/128", "--channels", "BGR"]
    done = run("represent", crops, out, "--weights", path, "--quiet", *options)
    assert done.returncode == 0, done.stderr
    recipe = json.loads((out / "represent.json").read_text())["recipe"]
    assert recipe["mean"] == [1, 2, 3] and recipe["channels"] == "BGR"
    assert Crop.from_dict(recipe["crop"]) == DLIB_CHIP
    again = run("represent", crops, out, "--weights", path, "--quiet", *options)
    assert "already there" in again.stderr
    done = run("represent", crops, out, "--weights", path, "--scale", "x")
    assert done.returncode == 2 and "neither a number" in done.stderr


@pytest.mark.slow
def test_a_converted_file_keeps_name_and_threshold(tmp_path: Path) -> None:
    network = load_network("dlib-resnet")
    source = network.info.weights_path
    assert source is not None
    for target in (tmp_path / "x.safetensors", tmp_path / "x.onnx"):
        if target.suffix == ".onnx":
            export_onnx(network, target)
        else:
            models.convert(source, target)
        info = read_network(target).info
        assert info.weights_name == "dlib-resnet.v1"
        assert info.threshold == CATALOGUE["dlib-resnet.v1"].threshold
    other = load_network(tmp_path / "x.safetensors", recipe=StatedRecipe(scale=2.0))
    assert other.info.weights_name == "x.safetensors"
    assert other.info.threshold is None


@pytest.mark.slow
def test_a_threshold_travels(tmp_path: Path) -> None:
    network = read_network(write(tmp_path / "x.onnx"))
    threshold = PairThreshold(0.7, "ours", far=0.01, normalized=True)
    network.info = replace(network.info, threshold=threshold)
    safetensors.save_network(network, tmp_path / "x.safetensors")
    assert read_network(tmp_path / "x.safetensors").info.threshold == threshold
    export_onnx(network, tmp_path / "y.onnx")
    assert read_network(tmp_path / "y.onnx").info.threshold == threshold


@pytest.mark.slow
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize(
    ("name", "options", "recipe", "assumed"),
    [
        ("mbf", {}, RECIPES["arcface"], ()),
        ("mobilefacenet", {}, RECIPES["arcface-inside"], ()),
        ("lresnet18e-ir", {"scale_input": False, "eps": 1e-5}, RECIPES["arcface"], ()),
        ("nn4.small2", {"pooling": "june2016"}, None, PARTS),
    ],
)
def test_known_structures_need_no_statement(
    name: str,
    options: dict[str, Any],
    recipe: Recipe | None,
    assumed: tuple[str, ...],
    fold: bool,
    tmp_path: Path,
) -> None:
    """InsightFace's packs and arcface_torch's exports, with batch normalisation folded or not."""
    path = tmp_path / "x.onnx"
    export_onnx(create(name, **options).eval(), path, fold=fold)
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    network = read_network(path)
    assert network.info.recipe == recipe
    if recipe is not None:
        assert network.info.architecture == name
        assert network.info.assumed == assumed


SMALL: Mapping[str, dict[str, Any]] = {
    "lresnet": {"filters": (4, 4, 4, 8, 8), "embedding_size": 8},
    "ldensenet": {"growth": 4, "embedding_size": 8},
    "lmobilenete": {"multiplier": 0.125, "embedding_size": 8},
    "ldpn": {"increments": (4, 4, 4, 4), "bottleneck": 8, "groups": 2, "width": 8},
    "ir-": {"units": (1, 1, 1, 1)},
    "adaface-ir": {"units": (1, 1, 1, 1)},
    "vit-": {"width": 32, "blocks": [2]},
    "linceptionresnetv2e": {"divisor": 8, "blocks": (1, 1, 2), "embedding_size": 8},
}


QUICK = {"mobilefacenet", "lresnet18e-ir", "ir-50", "ldensenet121e", "lightcnn-9", "vit-t"}
"""One of each kind; the others take their time."""

EXPORTED = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ARCHITECTURES
]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTED)
def test_every_network_is_readable_after_its_export(name: str, tmp_path: Path) -> None:
    options = next((o for stem, o in SMALL.items() if name.startswith(stem)), {})
    options = {k: v for k, v in options.items() if name.startswith(("ldpn", "vit")) or k != "width"}
    torch.manual_seed(0)
    network = create(name, **options).eval()
    path = tmp_path / "x.onnx"
    export_onnx(network, path)
    again = read_network(path)
    assert again.recipe == network.recipe
    assert again.info.assumed == ()
    assert again.info.architecture == name
    x = torch.rand(2, *network.recipe.shape) / network.recipe.scale
    with torch.inference_mode():
        expected = network(x.clone())
        difference = (again(x) - expected).abs().max()
    assert difference <= 1e-5 * expected.abs().max()
