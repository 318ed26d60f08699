import math

import numpy as np
import pytest
import torch
from torch import nn

from facetool.networks.graph import BatchNorm
from facetool.networks.registry import create
from facetool.weights.readers import mxnet
from tests.networks.one_step import losses_around_a_step
from tests.networks.transfer import copy_weights

NAMES = ("mobilefacenet", "mobilefacenet-112x96")


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts():
    y1, narrow = map(create, NAMES)
    assert parameters(y1) == 1_003_264
    # no bias before the last BN, and a row of 7x6 instead of 7x7 weights per channel
    assert parameters(narrow) == 1_003_264 - 128 - 512 * 7


def test_y2_is_deeper_and_wider_at_the_end():
    y2 = create("mobilefacenet", blocks=(2, 8, 16, 4), embedding_size=256).eval()
    depthwise = [m for m in y2.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    # bottlenecks: 2 in front, 8 + 16 + 4 residual ones, 3 strided; then the last one
    assert [layer.groups for layer in depthwise] == [
        *[64] * 2,
        *[128] * 9,
        *[256] * 17,
        *[512] + [256] * 4,
        512,
    ]
    with torch.inference_mode():
        assert y2(torch.zeros(1, 3, 112, 112)).shape == (1, 256)


@pytest.mark.parametrize("suffix", ["", "_faces"])
def test_y1_equals_mxnet(shared, suffix):
    folder = shared / "golden" / "mxnet"
    network = create("mobilefacenet")
    copy_weights(mxnet.load(folder / "y1-0000.params"), network)
    batch = torch.from_numpy(np.load(folder / f"input{suffix}_4x3x112x112.npy"))
    expected = torch.from_numpy(np.load(folder / f"y1_fc1{suffix}.npy"))
    with torch.inference_mode():
        assert (network.eval()(batch) - expected).abs().max() < 5e-5


def test_eps_is_mxnets_default_but_for_the_last():
    def all_eps(name: str) -> list[float]:
        return [m.eps for m in create(name).modules() if isinstance(m, BatchNorm)]

    assert all_eps("mobilefacenet") == [1e-3] * 49 + [2e-5]
    assert all_eps("mobilefacenet-112x96") == [1e-5] * 50


def test_only_y1_scales_its_input_itself():
    y1, narrow = map(create, NAMES)
    assert (y1.recipe.mean, y1.recipe.scale) == (0, 1)
    assert (narrow.recipe.mean, narrow.recipe.scale) == (127.5, 1 / 128)
    pixels = torch.tensor([0.0, 127.5, 255.5])
    assert y1.input(pixels).tolist() == [-127.5 / 128, 0, 1]
    assert narrow.input(pixels) is pixels


@pytest.mark.parametrize("name", NAMES)
def test_weights_start_as_insightface_starts_them(name):
    torch.manual_seed(8)
    for layer in create(name).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_out = layer.weight.shape[0] * math.prod(layer.weight.shape[2:])
            values = layer.weight.detach().flatten() * math.sqrt(fan_out / 2)
            assert abs(values.std() - 1) < 6 / math.sqrt(2 * len(values))
            assert abs(values.mean()) < 6 / math.sqrt(len(values))
            assert layer.bias is None or not layer.bias.any()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "frozen"), [(NAMES[0], ["head.bn.weight"]), (NAMES[1], [])])
def test_a_training_step_lowers_the_loss(name, frozen):
    torch.manual_seed(9)
    network = create(name)
    width = network.recipe.crop.width
    pixels = torch.randint(256, (4, 3, 112, width)).float()
    batch = (pixels - torch.tensor(network.recipe.mean)) * torch.tensor(network.recipe.scale)
    before, after = losses_around_a_step(network, batch, rate=1e-5)
    assert after < before
    assert [n for n, p in network.named_parameters() if not p.requires_grad] == frozen
