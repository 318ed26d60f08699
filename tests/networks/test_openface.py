import math

import numpy as np
import pytest
import torch
from torch import nn

from facetool.errors import UsageError
from facetool.networks.openface import L2Pool
from facetool.networks.registry import create
from facetool.weights.readers import torch7_network
from tests.networks.one_step import losses_around_a_step
from tests.networks.transfer import copy_weights

COUNTS = {
    "nn4.small2": 3_733_968,
    "nn4.small1": 5_579_520,
    "nn4": 6_959_088,
    "nn2": 7_472_144,
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_the_published_ones(name):
    with torch.device("meta"):
        network = create(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == COUNTS[name]


@pytest.fixture(scope="module")
def goldens(shared):
    folder = shared / "golden" / "torch7"

    def read(name: str, *shape: int) -> torch.Tensor:
        return torch.from_numpy(np.fromfile(folder / name, "<f4").reshape(shape).copy())

    return {
        "input": read("input96.bin", 4, 3, 96, 96),
        "june2016": read("nn4.small2.output.bin", 4, 128),
        "january2016": read("nn4.small2.jan2016def.output.bin", 4, 128),
        "network": torch7_network.load(folder / "nn4.small2.t7"),
        "old network": torch7_network.load(folder / "nn4.small2.old2016.t7"),
    }


def outputs_of(goldens, source: str, **options) -> torch.Tensor:
    network = create("nn4.small2", **options)
    copy_weights(goldens[source], network)
    with torch.inference_mode():
        return network.eval()(goldens["input"])


@pytest.mark.parametrize("pooling", ["june2016", "january2016"])
@pytest.mark.parametrize("source", ["network", "old network"])
def test_nn4_small2_equals_torch7(goldens, source, pooling):
    outputs = outputs_of(goldens, source, pooling=pooling)
    assert (outputs - goldens[pooling]).abs().max() < 2e-6


def test_the_default_pooling_is_that_of_june(goldens):
    outputs = outputs_of(goldens, "network")
    assert (outputs - goldens["june2016"]).abs().max() < 2e-6
    assert (outputs - goldens["january2016"]).abs().max() > 0.2


@pytest.mark.parametrize("pooling", ["june2016", "january2016"])
@pytest.mark.parametrize("name", COUNTS)
def test_every_variant_gives_unit_length_and_takes_its_embedding_size(name, pooling):
    network = create(name, pooling=pooling, embedding_size=40).eval()
    size = network.recipe.crop.height
    assert size == (224 if name == "nn2" else 96)
    with torch.inference_mode():
        lengths = network(torch.rand(1, 3, size, size)).norm(dim=1)
    assert network.info.embedding_size == 40
    torch.testing.assert_close(lengths, torch.ones(1), atol=1e-5, rtol=0)


def test_pooling_options_are_these_two():
    for options in ({"pooling": "june"}, {"pooling": "January2016"}):
        with pytest.raises(UsageError, match="january2016"):
            create("nn4.small2", **options)


def test_a_zero_embedding_stays_zero():
    network = create("nn4.small2").eval()
    nn.init.zeros_(network.get_parameter("fc.weight"))
    nn.init.zeros_(network.get_parameter("fc.bias"))
    assert not network(torch.rand(1, 3, 96, 96)).any()


def test_weights_start_as_torch7_starts_them():
    torch.manual_seed(3)
    network = create("nn4.small2")
    weights, biases, scales = [], [], []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            weights.append(layer.weight.detach().flatten() / bound)
            biases.append(layer.bias.detach() / bound)
        elif isinstance(layer, nn.BatchNorm2d):
            scales.append(layer.weight.detach())
            assert not layer.bias.any() and layer.momentum == 0.1 and layer.eps == 1e-5
    for parts, low in ((weights, -1), (biases, -1), (scales, 0)):
        values = torch.cat(parts)
        assert low <= values.min() < low + 0.01 and 0.99 < values.max() <= 1 + 1e-6
        # mean and spread of a uniform distribution, within six standard errors
        width = 1 - low
        assert abs(values.mean() - (low + 1) / 2) < 6 * width / math.sqrt(12 * len(values))
        assert abs(values.std() / (width / math.sqrt(12)) - 1) < 6 / math.sqrt(len(values))


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_a_training_step_lowers_the_loss(name):
    torch.manual_seed(4)
    network = create(name, embedding_size=16)
    size = network.recipe.crop.height
    before, after = losses_around_a_step(network, torch.rand(3, 3, size, size), rate=1e-4)
    assert after < before


def test_l2_pooling_of_nothing_has_gradient_zero():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0] = 3
    x.requires_grad_()
    y = L2Pool(stride=1)(x)
    torch.testing.assert_close(y, torch.tensor([[[[3.0, 0], [0, 0]]]]))
    y.sum().backward()
    assert x.grad[0, 0, 0, 0] == 1 and x.grad.count_nonzero() == 1
