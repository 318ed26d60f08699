"""OpenVINO's files, made here of a few steps, against NumPy; what they say of themselves counts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facetool.alignment.recipes import ARCFACE_112, DLIB_CHIP, Recipe
from facetool.errors import FormatError, WeightsError
from facetool.networks.engine import EngineLayer, EngineNetwork
from facetool.weights.download import digest
from facetool.weights.readers.openvino_ir import BIN_SHA256, RECIPE_KEY, load

openvino = pytest.importorskip("openvino")
operations = pytest.importorskip("openvino.opset13")

SHAPE = (-1, 3, 6, 6)
WEIGHTS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def vector(x: Any, weights: np.ndarray = WEIGHTS) -> Any:
    """Means of the channels, times weights."""
    means = operations.reduce_mean(x, operations.constant(np.array([2, 3])))
    means.set_friendly_name("means")
    product = operations.matmul(means, operations.constant(weights), False, False)
    product.set_friendly_name("product")
    return product


def write(
    path: Path,
    steps: Callable[[Any], Any] = vector,
    *,
    shape: tuple[int, ...] = SHAPE,
    says: dict[str, Any] | None = None,
) -> Path:
    """Write a network of an input of a shape; ``says``: the description in it."""
    x = operations.parameter(list(shape), np.float32)
    made = steps(x)
    model = openvino.Model(made if isinstance(made, list) else [made], [x])
    for _ in range(2):  # the description has the checksum of the weights
        openvino.save_model(model, str(path), compress_to_fp16=False)
        if says is None:
            break
        known = {BIN_SHA256: digest(path.with_suffix(".bin"))} if BIN_SHA256 not in says else {}
        model.set_rt_info(json.dumps({**says, **known}), [RECIPE_KEY])
    return path


def says(**more: Any) -> dict[str, Any]:
    return {"recipe": Recipe(DLIB_CHIP, mean=1.0, scale=0.5).as_dict(), **more}


def check(network: EngineNetwork, count: int, shape: tuple[int, ...] = SHAPE) -> None:
    """That it computes what :func:`vector` says."""
    x = np.random.default_rng(count).random((count, *shape[1:]), np.float32)
    wanted = x.mean((2, 3), np.float64) @ WEIGHTS
    np.testing.assert_allclose(network(torch.from_numpy(x)), wanted, rtol=1e-4, atol=1e-5)


def test_it_computes_what_its_steps_say(tmp_path: Path) -> None:
    network = load(write(tmp_path / "x.xml"))
    assert not network.training
    assert (network.info.embedding_size, network.info.input_size) == (4, (6, 6))
    for count in (1, 2, 5, 1, 0):
        check(network, count)
    assert network.layers == (
        EngineLayer("means", "ReduceMean", (3,)),
        EngineLayer("product", "MatMul", (4,)),
    )


@pytest.mark.parametrize("batch", [1, 2])
def test_steps_for_batches_of_one_size_take_any_number(tmp_path: Path, batch: int) -> None:
    def steps(x: Any) -> Any:
        return operations.reshape(vector(x), operations.constant([batch, 4]), False)

    network = load(write(tmp_path / "x.xml", steps, shape=(batch, *SHAPE[1:])))
    for count in (1, 2, 5):
        check(network, count)


def test_what_it_says_of_itself_counts(tmp_path: Path) -> None:
    described = says(
        unit_length=False,
        assumed=["crop", "channels"],
        architecture="dlib-resnet",
        variant="",
        source={"name": "dlib-resnet.v1"},
    )
    network = load(write(tmp_path / "x.xml", says=described))
    assert network.recipe == Recipe(DLIB_CHIP, mean=1.0, scale=0.5)
    assert not network.info.unit_length
    assert network.info.assumed == ("channels", "crop")
    assert (network.info.architecture, network.made_from) == ("dlib-resnet", "dlib-resnet.v1")
    assert network.info.weights_sha256 == digest(tmp_path / "x.xml")
    check(network, 3)


def test_arcfaces_crop_is_assumed_for_colour_of_its_size_only(tmp_path: Path) -> None:
    network = load(write(tmp_path / "x.xml", shape=(-1, 3, 112, 112)))
    assert network.recipe == Recipe(ARCFACE_112)
    assert network.info.assumed == ("channels", "scaling", "crop")

    def gray(x: Any) -> Any:
        return vector(x, WEIGHTS[:1])

    for number, (shape, steps) in enumerate(
        [((-1, 3, 112, 96), vector), ((-1, 3, 6, 6), vector), ((-1, 1, 112, 112), gray)]
    ):
        network = load(write(tmp_path / f"{number}.xml", steps, shape=shape))
        assert (network.info.recipe, network.info.assumed) == (None, ())
    stated = load(write(tmp_path / "y.xml", shape=(-1, 3, 112, 112), says=says()))
    assert stated.recipe.crop == DLIB_CHIP and not stated.info.assumed


def test_the_checksum_is_of_both_files(tmp_path: Path) -> None:
    first = load(write(tmp_path / "x.xml")).info.weights_sha256
    numbers = np.frombuffer((tmp_path / "x.bin").read_bytes(), np.uint8).copy()
    place = numbers.tobytes().index(WEIGHTS.tobytes())
    numbers[place] ^= 1
    (tmp_path / "x.bin").write_bytes(numbers.tobytes())
    assert load(tmp_path / "x.xml").info.weights_sha256 != first
    (tmp_path / "x.xml").write_bytes((tmp_path / "x.xml").read_bytes() + b"\n")
    numbers[place] ^= 1
    (tmp_path / "x.bin").write_bytes(numbers.tobytes())
    assert load(tmp_path / "x.xml").info.weights_sha256 != first


def test_weights_of_another_file(tmp_path: Path) -> None:
    write(tmp_path / "x.xml", says=says())
    write(tmp_path / "y.xml", lambda x: vector(x, WEIGHTS + 1))
    (tmp_path / "y.bin").replace(tmp_path / "x.bin")
    with pytest.raises(FormatError, match=r"x\.bin beside it belongs to another file"):
        load(tmp_path / "x.xml")
    (tmp_path / "x.bin").unlink()
    with pytest.raises(WeightsError, match=r"its weights, x\.bin, do not lie beside it"):
        load(tmp_path / "x.xml")


def test_the_one_output_that_is_a_vector(tmp_path: Path) -> None:
    def map_first(x: Any) -> list[Any]:
        return [
            operations.relu(x),
            operations.reduce_sum(x, operations.constant([1, 2, 3])),
            vector(x),
        ]

    check(load(write(tmp_path / "x.xml", map_first)), 3)
    for steps, count in (
        (lambda x: [vector(x), vector(x, WEIGHTS + 1)], 2),
        (lambda x: [operations.relu(x)], 0),
        (lambda x: [vector(x, WEIGHTS[:, :1])], 0),  # a score
    ):
        with pytest.raises(WeightsError, match=f"{count} of its outputs are one vector a face"):
            load(write(tmp_path / "y.xml", steps))


@pytest.mark.parametrize(
    "shape", [(-1, 3, -1, 6), (-1, 3, 5000, 6), (-1, 3, 6), (3, 6), (-1, -1, 6, 6)]
)
def test_inputs_that_are_no_crops(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write(tmp_path / "x.xml", operations.relu, shape=shape)
    with pytest.raises(WeightsError, match="an input of the shape"):
        load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_weights_that_are_no_numbers(tmp_path: Path, value: float, kind: type) -> None:
    weights: np.ndarray = WEIGHTS.astype(kind)
    weights[1, 2] = value

    def steps(x: Any) -> Any:
        means = operations.reduce_mean(x, operations.constant(np.array([2, 3])))
        return operations.matmul(
            means, operations.convert(operations.constant(weights), "f32"), False, False
        )

    with pytest.raises(WeightsError, match="finite"):
        load(write(tmp_path / "x.xml", steps))


@pytest.mark.parametrize("text", ["[", "{}", '{"recipe": 3}', "null"])
def test_a_description_that_is_none(tmp_path: Path, text: str) -> None:
    x = operations.parameter(list(SHAPE), np.float32)
    model = openvino.Model([vector(x)], [x])
    model.set_rt_info(text, [RECIPE_KEY])
    openvino.save_model(model, str(tmp_path / "x.xml"))
    with pytest.raises(FormatError, match=r"x\.xml: its metadata"):
        load(tmp_path / "x.xml")


def test_damage_is_one_line_that_names_both_files(tmp_path: Path) -> None:
    write(tmp_path / "x.xml")
    text = (tmp_path / "x.xml").read_bytes()
    for cut in (0, 20, len(text) // 2):
        (tmp_path / "x.xml").write_bytes(text[:cut])
        with pytest.raises(FormatError, match=r"x\.xml or x\.bin beside it is damaged") as found:
            load(tmp_path / "x.xml")
        assert "\n" not in str(found.value)


def test_without_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(WeightsError, match=r"pip install 'facetool\[openvino\]'"):
        load(tmp_path / "x.xml")
