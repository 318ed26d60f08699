import numpy as np
import pytest
import torch
from torch import nn

from facetool.networks.densenet import LDenseNetE
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


def tiny() -> LDenseNetE:
    return LDenseNetE(embedding_size=32, units=(2, 3, 4, 2), growth=6)


@pytest.fixture(scope="module")
def golden(shared):
    return Golden.read(shared, "d121tiny")


def test_seeded_weights_are_those_of_the_goldens(golden):
    assert digest(golden.weights) == (
        "c1d9757d113f31ddb6c15600de015b2477943c5ceb79fd61fa6a418bc1726cd0"
    )


def test_tiny_gives_mxnets_embeddings_and_another_eps_does_not(golden):
    network = tiny()
    golden.load_into(network)
    assert max(golden.deviations(network)) < 2e-5
    change_eps(network, 2e-5, 1e-5)
    assert max(golden.deviations(network)) > 6e-5


def test_internal_outputs(golden):
    network = tiny()
    layers = golden.load_into(network)
    features = network.features
    layers["_mulscalar0"] = network.stem[0]
    for stage, units in enumerate((2, 3, 4, 2), start=1):
        for unit in range(1, units + 1):
            layers[f"DBstage{stage}_concat{unit}"] = features.get_submodule(
                f"stage{stage}.unit{unit}"
            )
        if stage < 4:
            layers[f"TBstage{stage}_pool{stage}"] = features.get_submodule(
                f"transition{stage}.pool"
            )

    outputs = {}
    hooked = {layer: name for name, layer in layers.items()}

    def keep(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        outputs[hooked[layer]] = output.numpy().copy()

    for layer in hooked:
        layer.register_forward_hook(keep)
    with torch.inference_mode():
        network(golden.inputs()[""][:1])
    with np.load(golden.folder / "d121tiny_internals_sample0.npz") as expected:
        assert len(expected) == 38
        for key, values in expected.items():
            ours = outputs[key.removesuffix("_output")]
            assert ours.shape == values.shape
            assert np.abs(ours - values).max() < 2e-5 * max(1, values.std()), key


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (121, sizes(32_716_288, 85_184, 379, 252, 3.353)),
        (161, sizes(81_890_400, 220_960, 499, 332, 8.082)),
        (169, sizes(54_303_232, 159_936, 523, 348, 3.894)),
        (201, sizes(66_334_208, 230_592, 619, 412, 4.832)),
    ],
)
def test_sizes(depth, expected):
    assert measure(f"ldensenet{depth}e") == expected


def test_only_the_last_scale_is_fixed():
    assert frozen_scales(tiny()) == ["head.fc1"]


def test_initialisation():
    check_initialisation(tiny(), "uniform")


def test_one_training_step():
    check_training_step(tiny())
