import pytest
import torch
from torch import nn

from facetool.networks import registry
from facetool.networks.count import Flops, count_flops, count_parameters
from facetool.networks.fold import fold_batch_norm


def meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return registry.create(name)


@pytest.mark.slow
def test_lresnet100_as_openvino_counts_it():
    """65.1320 M parameters and 24.2115 GFLOPs on the page of face-recognition-resnet100-arcface."""
    network = meta("lresnet100e-ir")
    assert count_parameters(network) == 65_156_160
    assert count_parameters(fold_batch_norm(network)) == 65_131_968
    flops = count_flops(network, (3, 112, 112))
    assert flops.multiply_adds == 12_076_761_088 + 12_845_056
    assert flops.openvino == (
        2 * flops.multiply_adds
        + 2 * 4_290_048  # batch normalisations that cannot be folded
        + 2 * 5_419_008  # PReLU
        + 3_487_232  # sums
        + 9_282_560  # biases of convolutions
        + 75_264  # scaling of the input
        + 512  # bias of the fully connected layer
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("nn4.small2", 3_733_968),
        ("nn4.small1", 5_579_520),
        ("nn4", 6_959_088),
        ("nn2", 7_472_144),
        ("lresnet50e-ir", 43_590_848),
        ("lresnet34e-ir", 34_139_328),
        ("mobilefacenet", 1_003_264),
    ],
)
def test_published_parameters(name, parameters):
    assert count_parameters(meta(name)) == parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "giga"),
    [
        ("lmobilenete", 0.593),
        ("ldensenet121e", 3.353),
        ("ldpn92e", 7.061),
        ("mobilefacenet", 0.221),
    ],
)
def test_multiply_adds_of_other_networks(name, giga):
    assert round(count_flops(meta(name), (3, 112, 112)).multiply_adds / 1e9, 3) == giga


def test_each_kind_of_step_by_hand():
    network = nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3, groups=1),
        nn.PReLU(4),
        nn.Conv2d(4, 4, 3, groups=2, bias=False),
        nn.Flatten(),
        nn.Linear(4 * 4 * 4, 5),
        nn.ReLU(),
    )
    # 8x8 pixels become 6x6 and then 4x4
    multiply_adds = 4 * 36 * 27 + 4 * 16 * 18 + 5 * 64
    others = 2 * 3 * 64 + 4 * 36 + 2 * 4 * 36 + 5
    expected = Flops(multiply_adds, 2 * multiply_adds + others)
    assert count_flops(network, (3, 8, 8)) == expected


def test_counting_changes_nothing():
    network = registry.create("mobilefacenet").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_flops(network, (3, 112, 112))
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_products_of_matrices_are_counted():
    """A transformer's attention: 144 patches, each with each, in both of its products."""
    patches, width, blocks = 144, 256, 12
    network = meta("vit-t")
    layers = patches * width * (3 * 9 * 9)  # the convolution of each patch
    layers += blocks * patches * (width * 3 * width + width * width + 2 * width * 4 * width)
    layers += patches * width * width + width * 512
    attention = blocks * 2 * patches * patches * width
    assert count_flops(network, (3, 112, 112)).multiply_adds == layers + attention
