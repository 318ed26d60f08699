import pytest
import torch
from torch import nn

from facetool.networks.inception_resnet import LInceptionResNetV2E
from tests.networks.mxnet_backbones import (
    Golden,
    change_eps,
    check_initialisation,
    check_training_step,
    digest,
    frozen_scales,
    measure,
    sizes,
)


def tiny() -> LInceptionResNetV2E:
    return LInceptionResNetV2E(embedding_size=24, blocks=(2, 3, 2), divisor=16)


@pytest.fixture(scope="module")
def golden(shared):
    return Golden.read(shared, "i2tiny")


def test_seeded_weights_are_those_of_the_goldens(golden):
    assert digest(golden.weights) == (
        "a96dd0e5d5e1bfbef9a70573152d926fd8f124c316637380c761d679d003e2d2"
    )


def test_tiny_gives_mxnets_embeddings_and_another_eps_does_not(golden):
    network = tiny()
    golden.load_into(network)
    assert max(golden.deviations(network)) < 2e-5
    change_eps(network, 1e-3, 2e-5)
    assert all(0.0055 < deviation < 0.0235 for deviation in golden.deviations(network))


@pytest.mark.slow
@pytest.mark.parametrize("quirk", ["scales", "padding", "last scale", "last ReLU"])
def test_the_goldens_notice_each_quirk(golden, quirk):
    network = tiny()
    layers = golden.load_into(network)
    if quirk == "scales":
        for name, layer in layers.items():
            if name.startswith("batchnorm"):
                layer.weight.data = torch.from_numpy(golden.weights[f"{name}_gamma"])
    elif quirk == "padding":
        (pool,) = [layer for layer in network.modules() if isinstance(layer, nn.AvgPool2d)]
        pool.count_include_pad = False
    elif quirk == "last scale":
        network.features.block8_last.scale = 0.2
    else:
        network.features.block8_last.activation = True
    assert max(golden.deviations(network)) > 1e-2


@pytest.mark.slow
def test_sizes():
    assert measure("linceptionresnetv2e") == sizes(167_723_292, 156_200, 982, 492, 27.887)


def test_all_scales_but_one_are_fixed():
    frozen = frozen_scales(tiny())
    assert len(frozen) == 64
    assert "head.fc1" in frozen
    assert "head.bn1" not in frozen


def test_initialisation():
    check_initialisation(tiny(), "gaussian")


@pytest.mark.slow
def test_one_training_step():
    check_training_step(tiny())
