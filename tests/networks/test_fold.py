import pickle
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.networks import onednn, registry
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.dlib_resnet import subtract_mean
from facetool.networks.fold import fold_batch_norm, for_inference
from facetool.networks.graph import Node, build_graph
from facetool.networks.lresnet import LResNet


def randomise(network: nn.Module) -> nn.Module:
    """Give every batch normalisation statistics and factors of its own."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


def steps(folded, *kinds):
    """How many steps of the body are modules of these kinds."""
    graph = folded.body.graph
    called = [folded.body.get_submodule(n.target) for n in graph.nodes if n.op == "call_module"]
    return sum(isinstance(module, kinds) for module in called)


def tiny() -> LResNet:
    return LResNet((2, 1, 1, 1), (8, 8, 8, 16, 16), embedding_size=32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "remaining"),
    [("nn4.small2", 0), ("mobilefacenet", 0), ("dlib-resnet", 0), ("lresnet18e-ir", 9)],
)
def test_registered_networks(name, remaining):
    network = registry.create(name)
    randomise(network)
    crop = network.recipe.crop
    pixels = torch.rand(2, 3, crop.height, crop.width) * 255
    folded = fold_batch_norm(network)
    with torch.inference_mode():
        x = (pixels - torch.tensor(network.recipe.mean)) * torch.tensor(network.recipe.scale)
        expected = network(x)
        difference = (folded(x) - expected).abs().max()
    assert difference < 3e-5 * expected.std()
    assert steps(folded, nn.BatchNorm2d) == remaining
    assert steps(folded, nn.Dropout, nn.Identity) == 0
    assert folded.info == network.info
    assert isinstance(folded, EmbeddingNetwork)
    assert not folded.training


def graph(*nodes, **tensors):
    network = build_graph(nodes, tensors)
    network.info = replace(network.info, recipe=Recipe(ARCFACE_112), embedding_size=4)
    return network


CONV = {"in_channels": 3, "out_channels": 4, "kernel_size": [3, 3]}


def conv_and_bn(name="c"):
    torch.manual_seed(1)
    return {
        f"{name}.weight": torch.randn(4, 3, 3, 3),
        f"{name}.bias": torch.randn(4),
        "b.weight": torch.rand(4) + 0.5,
        "b.bias": torch.randn(4),
        "b.running_mean": torch.randn(4),
        "b.running_var": torch.rand(4) + 0.5,
    }


@pytest.mark.parametrize(("padding", "kept"), [(0, 0), (3, 1)])
def test_the_mean_of_the_pixels_goes_into_an_unpadded_convolution(padding, kept):
    network = randomise(registry.create("dlib-resnet"))
    network.stem.conv.padding = (padding, padding)
    folded = fold_batch_norm(network)
    left = [node for node in folded.body.graph.nodes if node.target is subtract_mean]
    assert len(left) == kept
    pixels = torch.rand(2, 3, 150, 150) * 255
    with torch.inference_mode():
        expected = network(pixels)
        difference = (folded(pixels) - expected).abs().max()
    assert difference < 3e-5 * expected.std()


def test_graph_networks_fold_too():
    network = graph(
        Node("c", "conv", ("input",), CONV),
        Node("b", "batch_norm", ("c",), {"num_features": 4}),
        Node("i", "identity", ("b",)),
        Node("d", "dropout", ("i",)),
        Node("r", "relu", ("d",)),
        **conv_and_bn(),
    )
    folded = fold_batch_norm(network)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(folded(x), network(x), atol=1e-5, rtol=1e-5)
    assert [node.op for node in folded.body.graph.nodes].count("call_module") == 1
    assert folded.recipe == network.recipe


def test_depth_concat_is_one_step():
    network = graph(
        Node("p", "max_pool", ("input",), {"kernel_size": 2}),
        Node("c", "conv", ("input",), CONV),
        Node("b", "batch_norm", ("c",), {"num_features": 4}),
        Node("d", "depth_concat", ("p", "b")),
        **conv_and_bn(),
    )
    folded = fold_batch_norm(network)
    for size in (8, 11):
        x = torch.randn(2, 3, size, size)
        torch.testing.assert_close(folded(x), network(x), atol=1e-5, rtol=1e-5)


def test_a_convolution_used_twice_is_left_alone():
    network = graph(
        Node("c", "conv", ("input",), CONV),
        Node("b", "batch_norm", ("c",), {"num_features": 4}),
        Node("s", "add", ("b", "c")),
        **conv_and_bn(),
    )
    folded = fold_batch_norm(network)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(folded(x), network(x))
    assert steps(folded, nn.BatchNorm2d) == 1


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.bn(self.conv(x)))
        return y


def test_a_convolution_called_twice_is_left_alone():
    network = randomise(Shared())
    folded = fold_batch_norm(network)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(folded(x), network(x))


def test_the_original_stays_as_it_was():
    network = randomise(tiny()).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = fold_batch_norm(network)
    for tensor in folded.parameters():
        tensor.data.fill_(0)
    assert network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_copies_and_pickles():
    folded = fold_batch_norm(randomise(tiny()))
    folded.info = replace(folded.info, recipe=Recipe(ARCFACE_112))
    x = torch.rand(1, 3, 112, 112) * 255
    for again in (deepcopy(folded), pickle.loads(pickle.dumps(folded))):
        assert torch.equal(again(x), folded(x))
        assert again.recipe == folded.recipe
    doubled = deepcopy(folded).to(torch.float64)
    assert doubled(x.double()).dtype == torch.float64


@pytest.fixture
def three_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("three_threads")
def test_folds_in_one_thread_and_leaves_the_others_as_they_were(monkeypatch):
    folding = []
    monkeypatch.setattr(onednn, "onednn_runs", lambda _: folding.append(torch.get_num_threads()))
    for_inference(tiny(), torch.device("cpu"), torch.float32)
    assert folding == [1]
    assert torch.get_num_threads() == 3
