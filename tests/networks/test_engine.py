"""What a network that another engine runs has in common with others, and what it refuses."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from facetool.errors import UsageError, WeightsError
from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.engine import OPENVINO, EngineLayer, EngineNetwork, check_has_weights

SHAPE = (3, 4, 5)
LAYERS = (EngineLayer("a", "Convolution", (8, 2, 2)), EngineLayer("b", "MatMul"))


def means(x: Tensor) -> Tensor:
    """An embedding of three numbers; takes what engines take."""
    assert (x.dtype, x.device.type, x.requires_grad) == (torch.float32, "cpu", False)
    return x.mean((2, 3))


def twice(x: Tensor) -> Tensor:
    return 2 * means(x)


def network(run=means, layers=LAYERS, **options) -> EngineNetwork:
    return EngineNetwork(run, SHAPE, OPENVINO, layers, **options)


def test_it_knows_its_sizes_and_has_no_weights() -> None:
    made = network()
    assert (made.info.embedding_size, made.info.input_size) == (3, (4, 5))
    assert not list(made.parameters()) and not made.state_dict()
    assert made.layers == LAYERS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_inputs_of_any_type_give_embeddings_of_it(dtype: torch.dtype) -> None:
    x = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = network()(x.requires_grad_())
    assert found.dtype == dtype
    wanted = x.detach().numpy().astype(np.float32).mean((2, 3)).astype(x.detach().numpy().dtype)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3 if dtype == torch.float16 else 1e-6)


def test_no_faces_are_no_call() -> None:
    made = network()

    def fail(x: Tensor) -> Tensor:
        raise AssertionError("called")

    made.engine.run = fail
    assert made(torch.zeros(0, *SHAPE)).shape == (0, 3)
    with pytest.raises(AssertionError, match="called"):
        made(torch.zeros(1, *SHAPE))


@pytest.mark.parametrize(
    "run", [lambda x: x, lambda x: x.mean((1, 2, 3)), lambda x: torch.zeros(2, 3)]
)
def test_other_shapes_are_no_embeddings(run) -> None:
    with pytest.raises(WeightsError, match="not one vector a face"):
        network(run)


def test_a_copy_shares_the_engine_and_has_its_own_description() -> None:
    made = network()
    other = deepcopy(made)
    assert other.engine is made.engine
    other.info = replace(other.info, weights_name="other")
    assert made.info.weights_name == ""


def test_another_precision_is_another_network_and_leaves_this_one() -> None:
    asked = []

    def run_in(dtype: str):
        asked.append(dtype)
        return twice

    made = network(run_in=run_in)
    made.info = replace(made.info, weights_name="x.xml")
    x = torch.rand(2, *SHAPE)
    other = made.in_dtype("bfloat16")
    assert asked == ["bfloat16"]
    assert torch.equal(other(x), 2 * means(x)) and torch.equal(made(x), means(x))
    assert (other.info, other.layers) == (made.info, LAYERS)
    assert made.in_dtype("float32") is made and asked == ["bfloat16"]


def test_an_engine_of_one_precision() -> None:
    made = network()
    made.info = replace(made.info, weights_name="x.xml")
    assert made.in_dtype("float32") is made
    with pytest.raises(UsageError, match=r"x\.xml is run by OpenVINO in the precision of its file"):
        made.in_dtype("bfloat16")


@pytest.mark.parametrize(
    ("kind", "rounds"),
    [
        ("FakeQuantize", True),
        ("QuantizeLinear", True),
        ("DynamicQuantizeLinear", True),
        ("DequantizeLinear", False),
        ("Convolution", False),
    ],
)
def test_which_layers_make_8_bits(kind: str, rounds: bool) -> None:
    assert network(layers=[*LAYERS, EngineLayer("c", kind)]).has_8_bits == rounds
    assert not network(layers=[]).has_8_bits


def test_what_converts_and_trains_is_told_what_to_take_instead() -> None:
    made = network(made_from="dlib-resnet.v1")
    with pytest.raises(WeightsError, match=r"^this network .*; take dlib-resnet\.v1 to convert"):
        check_has_weights(made)
    other = network()
    other.info = NetworkInfo(weights_name="x.xml")
    with pytest.raises(WeightsError, match=r"^x\.xml .*; take the file it was made from to"):
        check_has_weights(other)
    check_has_weights(EmbeddingNetwork())
