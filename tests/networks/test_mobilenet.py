import pytest
import torch

from facetool.networks import registry
from facetool.networks.mobilenet import LMobileNetE
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


def tiny() -> LMobileNetE:
    return LMobileNetE(embedding_size=16, multiplier=0.25)


@pytest.fixture(scope="module")
def full(shared):
    return Golden.read(shared, "m1")


@pytest.mark.slow
def test_seeded_weights_are_those_of_the_goldens(full):
    assert digest(full.weights) == (
        "185314a1c34c4b295fb55298457a0190af248340caa741d96770dad365ec61ad"
    )


@pytest.mark.slow
def test_full_size_gives_mxnets_embeddings(full):
    network = registry.create("LMobileNetE")
    full.load_into(network)
    assert max(full.deviations(network)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "expected"),
    [("eps", (0.15, 0.13)), ("fixed scales", (16, 13)), ("last scale", (3.3, 2.7))],
)
def test_mistakes_show_as_published(full, mistake, expected):
    network = registry.create("lmobilenete")
    layers = full.load_into(network)
    if mistake == "eps":
        change_eps(network, 1e-3, 2e-5)
    for name, layer in layers.items():
        if (mistake == "fixed scales" and name.endswith("_batchnorm")) or (
            mistake == "last scale" and name == "fc1"
        ):
            layer.weight.data = torch.from_numpy(full.weights[f"{name}_gamma"])
    assert full.deviations(network) == pytest.approx(expected, rel=0.04)


def test_a_thinner_one_gives_mxnets_embeddings(shared):
    golden, network = Golden.read(shared, "m1tiny"), tiny()
    golden.load_into(network)
    assert max(golden.deviations(network)) < 2e-5


def test_sizes():
    assert measure("lmobilenete") == sizes(28_911_616, 24_960, 114, 58, 0.593)


def test_all_scales_but_one_are_fixed():
    network = tiny()
    frozen = frozen_scales(network)
    assert len(frozen) == 28
    assert "head.fc1" in frozen
    assert "head.bn1" not in frozen


def test_initialisation():
    check_initialisation(tiny(), "uniform")


def test_one_training_step():
    check_training_step(tiny())
