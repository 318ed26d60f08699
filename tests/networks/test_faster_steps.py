"""Joined convolutions and halved maps against the steps they replace."""

from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from facetool.networks.faster_steps import halve, join_convolutions, pool_without_places
from facetool.networks.fold import fold


class Heads(nn.Module):
    """Five convolutions of one input and one of another."""

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.scores = nn.Conv2d(8, 1, 3, padding=1, bias=bias)
        self.active = nn.Conv2d(8, 8, 3, padding=1, bias=bias)
        self.edges = nn.Conv2d(8, 4, 3, padding=1, bias=bias)
        self.narrow = nn.Conv2d(8, 4, 1, bias=bias)
        self.points = nn.Conv2d(8, 10, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(8, 2, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        active = F.relu(self.active(x))
        scores, edges = self.scores(x).sigmoid(), self.edges(x) * 2
        return scores, active, edges, self.narrow(x), self.points(x), self.second(active)


def layers(body: fx.GraphModule) -> list[str]:
    return [str(node.target) for node in body.graph.nodes if node.op == "call_module"]


@pytest.mark.parametrize("bias", [True, False])
def test_equal_convolutions_of_one_input_are_one(bias: bool) -> None:
    torch.manual_seed(2)
    network = Heads(bias=bias)
    body = fold(network)
    join_convolutions(body)
    assert sorted(layers(body)) == ["active", "narrow", "scores", "second"]
    x = torch.randn(2, 8, 5, 6)
    for joined, alone in zip(body(x), network(x), strict=True):
        assert joined.shape == alone.shape
        torch.testing.assert_close(joined, alone, rtol=0, atol=1e-6)


class Pools(nn.Module):
    """A layer and a pool behind it."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.conv(x), **self.options)


@pytest.mark.parametrize(
    ("options", "halves"),
    [
        ({"kernel_size": 2}, True),
        ({"kernel_size": [2, 2], "stride": (2, 2), "padding": [0, 0]}, True),
        ({"kernel_size": 2, "stride": 1}, False),
        ({"kernel_size": 3, "stride": 2, "padding": 1}, False),
        ({"kernel_size": 2, "ceil_mode": True}, False),
    ],
)
def test_only_squares_of_two_are_halved(options: dict[str, Any], halves: bool) -> None:
    network = Pools(**options)
    body = fold(network)
    pool_without_places(body)
    assert any(node.target is halve for node in body.graph.nodes) == halves
    x = torch.randn(2, 3, 9, 6)
    assert torch.equal(body(x), network(x))


def test_halving_keeps_the_order_of_channels_and_nan() -> None:
    x = torch.randn(2, 4, 6, 8, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    x[0, 1, 2, 3] = torch.nan
    assert halve(x).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(halve(x).nan_to_num(), F.max_pool2d(x, 2).nan_to_num())
    assert halve(x).isnan().sum() == 1
