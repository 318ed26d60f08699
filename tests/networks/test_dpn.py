import pytest

from facetool.networks.dpn import LDPNE
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


def tiny() -> LDPNE:
    return LDPNE(
        embedding_size=32,
        units=(2, 2, 3, 2),
        increments=(2, 4, 3, 8),
        bottleneck=6,
        groups=3,
        width=16,
        stem_filters=8,
    )


@pytest.fixture(scope="module")
def golden(shared):
    return Golden.read(shared, "p92tiny")


def test_seeded_weights_are_those_of_the_goldens(golden):
    assert digest(golden.weights) == (
        "c9a69a8e88a88f7be61eda57e9682b58236b84212fb4aa8193decc627090de0a"
    )


def test_tiny_gives_mxnets_embeddings_and_another_eps_does_not(golden):
    network = tiny()
    golden.load_into(network)
    assert max(golden.deviations(network)) < 2e-5
    change_eps(network, 1e-3, 2e-5)
    assert all(0.0055 < deviation < 0.0235 for deviation in golden.deviations(network))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (68, sizes(93_661_152, 101_536, 232, 154, 7.011)),
        (92, sizes(102_488_256, 126_752, 304, 202, 7.061)),
        (107, sizes(151_696_128, 214_976, 349, 232, 18.640)),
        (131, sizes(144_035_904, 224_512, 421, 280, 16.365)),
    ],
)
def test_sizes(depth, expected):
    assert measure(f"ldpn{depth}e") == expected


def test_only_the_last_scale_is_fixed():
    assert frozen_scales(tiny()) == ["head.fc1"]


def test_initialisation():
    check_initialisation(tiny(), "uniform")


def test_one_training_step():
    check_training_step(tiny())
