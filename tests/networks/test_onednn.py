"""Fused convolutions against the layers they replace."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from facetool.networks import onednn
from facetool.networks.dlib_resnet import add_zero_extended
from facetool.networks.fold import fold, fold_batch_norm, for_inference
from facetool.networks.registry import create

pytestmark = pytest.mark.skipif(
    not onednn.onednn_runs(torch.float32), reason="this PyTorch has no oneDNN"
)


class Ending(nn.Module):
    """A convolution, what follows it, and what it is added to."""

    def __init__(
        self,
        ending: Callable[[Tensor, Tensor], Tensor],
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, kernel, stride, padding, groups=groups)
        self.ending = ending

    def forward(self, x: Tensor) -> Tensor:
        return self.ending(self.conv(x), x)


def fused(network: nn.Module) -> fx.GraphModule:
    body = fold_batch_norm(network).body
    onednn.fuse_convolutions(body)
    return body


def steps(body: fx.GraphModule) -> int:
    return sum(node.op not in ("placeholder", "output") for node in body.graph.nodes)


@pytest.mark.parametrize("count", [1, 4, 16])
@pytest.mark.parametrize(
    ("ending", "left"),
    [
        (lambda y, x: y, 1),
        (lambda y, x: F.relu(y), 1),
        (lambda y, x: torch.add(y, x), 1),
        (lambda y, x: F.relu(x + y), 1),
        (lambda y, x: F.relu(add_zero_extended(y, x)), 1),
        (lambda y, x: y + y, 2),
        (lambda y, x: torch.add(y, x, alpha=2), 2),
        (lambda y, x: y * x, 2),
        (lambda y, x: F.relu(y) + y, 3),
    ],
)
def test_what_follows_becomes_part(
    ending: Callable[[Tensor, Tensor], Tensor], left: int, count: int
) -> None:
    network = Ending(ending).eval()
    body = fused(network)
    assert steps(body) == left
    x = torch.randn(count, 8, 9, 9).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = network(x.clone())
        for _ in range(2):
            torch.testing.assert_close(body(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", [{"kernel": 1, "padding": 0}, {"groups": 8}])
def test_products_and_depthwise(options: dict[str, int]) -> None:
    network = Ending(lambda y, x: F.relu(y), **options).eval()
    body = fused(network)
    with torch.inference_mode():
        for shape in ((1, 8, 5, 5), (2, 8, 40, 40), (3, 8, 6, 7), (0, 8, 6, 7)):
            x = torch.randn(shape).to(memory_format=torch.channels_last)
            torch.testing.assert_close(body(x), network(x), atol=1e-5, rtol=1e-5)


def test_summands_of_different_size() -> None:
    network = Ending(lambda y, x: F.relu(add_zero_extended(y, x)), stride=2, kernel=3, padding=0)
    network.ending = lambda y, x: F.relu(add_zero_extended(y, F.avg_pool2d(x, 2)))
    body = fused(network.eval())
    x = torch.randn(2, 8, 10, 10).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(body(x), network(x), atol=1e-5, rtol=1e-5)


def test_a_bias_is_added_before_bfloat16_rounds() -> None:
    if not onednn.onednn_runs(torch.bfloat16):
        pytest.skip("this processor has no bfloat16")
    conv = nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        conv.weight.fill_(-1)
        conv.bias.fill_(100.25)  # 100 in bfloat16
    body = fold(nn.Sequential(conv, nn.ReLU()))
    onednn.fuse_convolutions(body, torch.bfloat16)
    x = torch.full((2, 1, 3, 3), 100, dtype=torch.bfloat16)
    with torch.inference_mode():
        found = body.to(torch.bfloat16)(x)
    assert found.dtype == torch.bfloat16
    assert (found == 0.25).all()


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(self.conv(x)))


def test_a_convolution_called_twice_is_left_alone() -> None:
    network = Twice().eval()
    body = fused(network)
    assert steps(body) == 3
    x = torch.randn(2, 8, 5, 5)
    with torch.inference_mode():
        torch.testing.assert_close(body(x), network(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dlib-resnet", "nn4.small2", "mobilefacenet", "lresnet18e-ir"])
def test_networks_as_they_run(name: str) -> None:
    torch.manual_seed(2)
    network = create(name).eval()
    crop = network.recipe.crop
    pixels = torch.rand(3, 3, crop.height, crop.width) * 255
    x = (pixels - network.recipe.mean) * network.recipe.scale
    x = x.to(memory_format=torch.channels_last)
    running = for_inference(network, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        expected = network(x)
        for part in (x, x[:1], x[:2], x):
            difference = (running(part) - expected[: len(part)]).abs().max()
            assert difference < 3e-5 * expected.std()
