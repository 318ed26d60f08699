import pytest
import torch
from torch import nn

from facetool.networks.registry import create
from facetool.training.frozen import learns_from_one, plain_scales, set_training
from facetool.weights.load import load_network


def test_dlibs_published_weights_have_only_scales_and_shifts():
    network = load_network("dlib-resnet")
    layers = plain_scales(network)
    assert len(layers) == 29
    before = {name: value.clone() for name, value in network.named_buffers()}
    set_training(network, layers)
    assert network.training and not any(layer.training for layer in layers)
    network(torch.rand(2, 3, 150, 150) * 255)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())


def test_trained_statistics_are_recognised():
    network = create("lresnet18e-ir", units=[1, 1, 1, 1], filters=[4] * 5, embedding_size=8)
    network.train()(torch.rand(4, 3, 112, 112) * 255)
    assert plain_scales(network) == []


@pytest.mark.parametrize(
    ("network", "answer"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), True),
        (nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4)), False),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4)), False),
    ],
)
def test_a_single_image_has_no_statistics_over_images(network, answer):
    network.eval()
    before = {name: value.clone() for name, value in network.named_buffers()}
    assert learns_from_one(network, [], torch.rand(1, 3, 8, 8)) is answer
    assert learns_from_one(network, [network[-1]], torch.rand(1, 3, 8, 8))
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
