import math

import numpy as np
import pytest
import torch
from torch import nn

from facetool.networks.graph import BatchNorm
from facetool.networks.lresnet import LResNet
from facetool.networks.registry import ARCHITECTURES, create
from facetool.weights.readers import mxnet
from tests.networks.one_step import losses_around_a_step
from tests.networks.transfer import copy_weights


def tiny18(**options) -> LResNet:
    return LResNet((2, 2, 2, 2), (8, 8, 16, 24, 32), embedding_size=64, **options)


@pytest.mark.parametrize(
    ("depth", "count"), [(100, 65_156_160), (50, 43_590_848), (34, 34_139_328)]
)
def test_parameter_counts_are_the_published_ones(depth, count):
    with torch.device("meta"):
        network = create(f"LResNet{depth}E-IR")
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_depth_is_the_number_of_convolutions_and_the_dense_layer():
    depths = {18, 34, 49, 50, 74, 90, 98, 99, 100, 101, 124}
    depths |= {134, 136, 140, 152, 160, 200, 269}
    assert {name for name in ARCHITECTURES if name.startswith("lresnet")} == {
        f"lresnet{depth}e-ir" for depth in depths
    }
    for depth in (18, 34, 50, 74, 90, 98, 100):
        with torch.device("meta"):
            network = create(f"lresnet{depth}e-ir")
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        on_the_main_path = [m for m in convolutions if m.kernel_size == (3, 3)]
        assert len(on_the_main_path) + 1 == depth
        assert len(convolutions) - len(on_the_main_path) == 4


@pytest.mark.parametrize("suffix", ["", "_faces"])
def test_tiny18_equals_mxnet(shared, suffix):
    folder = shared / "golden" / "mxnet"
    network = tiny18()
    copy_weights(mxnet.load(folder / "tiny18-0000.params"), network)
    batch = torch.from_numpy(np.load(folder / f"input{suffix}_4x3x112x112.npy"))
    expected = torch.from_numpy(np.load(folder / f"tiny18_fc1{suffix}.npy"))
    with torch.inference_mode():
        assert (network.eval()(batch) - expected).abs().max() < 5e-5
        for layer in network.modules():
            if isinstance(layer, BatchNorm):
                layer.eps = 1e-3
        assert (network(batch) - expected).abs().max() > 1e-3


def test_scaling_outside_is_the_same_network():
    torch.manual_seed(5)
    inside, outside = tiny18().eval(), tiny18(scale_input=False).eval()
    outside.load_state_dict(inside.state_dict())
    pixels = torch.randint(256, (2, 3, 112, 112)).float()
    with torch.inference_mode():
        torch.testing.assert_close(outside((pixels - 127.5) / 128), inside(pixels))


def test_weights_start_as_insightface_starts_them():
    torch.manual_seed(6)
    network = tiny18()
    drawn = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.weight.numel() / layer.in_channels
            drawn.append(layer.weight.detach().flatten() * math.sqrt(fan_out / 2))
        elif isinstance(layer, nn.Linear):
            drawn.append(layer.weight.detach().flatten() * math.sqrt(layer.out_features / 2))
            assert not layer.bias.any()
        elif isinstance(layer, nn.PReLU):
            assert (layer.weight == 0.25).all()
        elif isinstance(layer, BatchNorm):
            assert (layer.weight == 1).all() and not layer.bias.any()
            assert layer.eps == 2e-5 and layer.momentum == 0.1
    for values in drawn:
        assert abs(values.std() - 1) < 6 / math.sqrt(2 * len(values))
    everything = torch.cat(drawn)
    assert abs(everything.mean()) < 6 / math.sqrt(len(everything))
    # a normal distribution, not a uniform one: 4.55 % lie beyond two standard deviations
    assert abs((everything.abs() > 2).float().mean() - 0.0455) < 0.003


def test_a_training_step_lowers_the_loss_and_leaves_the_last_scale():
    torch.manual_seed(7)
    network = tiny18()
    before, after = losses_around_a_step(
        network, torch.randint(256, (4, 3, 112, 112)).float(), rate=1e-5
    )
    assert after < before
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert frozen == ["head.fc1.weight"]
    assert (network.head.fc1.weight == 1).all() and network.head.fc1.bias.any()
