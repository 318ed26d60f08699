"""Joined convolutions and maxima without places against the steps they replace."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from facetool.networks import onednn
from facetool.networks.faster_steps import join_convolutions, max_pool, pool_without_places
from facetool.networks.fold import fold
from facetool.networks.graph import depth_concat


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
    ("options", "dtypes"),
    [
        ({"kernel_size": 2}, "both"),
        ({"kernel_size": [2, 2], "stride": (2, 2), "padding": [0, 0]}, "both"),
        ({"kernel_size": 2, "stride": 1}, "both"),
        ({"kernel_size": 3, "stride": 2, "padding": 1}, "bfloat16"),
        ({"kernel_size": 3, "stride": 1, "padding": 1}, "bfloat16"),
        ({"kernel_size": 5, "stride": 3, "padding": 2}, "bfloat16"),
        ({"kernel_size": 3}, "bfloat16"),
        ({"kernel_size": 2, "padding": 1}, ""),
        ({"kernel_size": (3, 2)}, ""),
        ({"kernel_size": 2, "ceil_mode": True}, ""),
        ({"kernel_size": 2, "dilation": 2}, ""),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(9, 6), (8, 7), (3, 3)])
def test_maxima_without_places(
    options: dict[str, Any], dtypes: str, dtype: torch.dtype, size: tuple[int, int]
) -> None:
    network = Pools(**options).to(dtype)
    body = fold(network).to(dtype)
    pool_without_places(body, dtype)
    expected = dtypes == "both" or str(dtype).endswith(dtypes or "none")
    assert any(node.target is max_pool for node in body.graph.nodes) == expected
    x = torch.randn(2, 3, *size).to(dtype)
    with torch.inference_mode():
        assert torch.equal(body(x), network(x))


def test_windows_may_be_larger_than_the_map() -> None:
    x = torch.randn(2, 3, 1, 2)
    assert torch.equal(max_pool(x, 5, 1, 2), F.max_pool2d(x, 5, 1, 2))


@pytest.mark.parametrize(("edge", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
@pytest.mark.parametrize("as_integers", [False, True])
def test_maxima_keep_the_order_of_channels_and_nan(
    edge: int, stride: int, padding: int, as_integers: bool
) -> None:
    x = torch.randn(2, 4, 6, 8).to(torch.bfloat16, memory_format=torch.channels_last)
    x = x.relu() if as_integers else x
    found = max_pool(x, edge, stride, padding, as_integers)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, F.max_pool2d(x, edge, stride, padding))
    if not as_integers:
        x[0, 1, 2, 3] = torch.nan
        expected = F.max_pool2d(x, edge, stride, padding)
        found = max_pool(x, edge, stride, padding)
        assert torch.equal(found.isnan(), expected.isnan())
        assert torch.equal(found.nan_to_num(), expected.nan_to_num())


class Chain(nn.Module):
    """A layer, something, and a pool."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.pool = nn.MaxPool2d(3, 2)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.between(self.conv(x)))


@pytest.mark.parametrize(
    ("between", "as_integers"),
    [
        (F.relu, True),
        (lambda x: depth_concat([F.relu(x), F.max_pool2d(F.relu(x), 3, 1, 1)]), False),
        (lambda x: (lambda y: torch.cat([y, F.max_pool2d(y, 3, 1, 1)], 1))(F.relu(x)), True),
        (lambda x: torch.cat([F.relu(x), x], 1), False),
        (torch.neg, False),
        (lambda x: x, False),
    ],
)
def test_only_what_is_never_negative_is_pooled_as_integers(
    between: Callable[[Tensor], Tensor], as_integers: bool
) -> None:
    if not onednn.onednn_runs(torch.bfloat16):
        pytest.skip("this processor has no bfloat16")
    body = fold(Chain(between)).to(torch.bfloat16)
    x = torch.randn(2, 4, 9, 9).to(torch.bfloat16, memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = body(x)
        onednn.fuse_convolutions(body)
        pool_without_places(body, torch.bfloat16)
        assert torch.equal(body(x), expected)
    last = [node for node in body.graph.nodes if node.target is max_pool][-1]
    assert last.args[-1] == as_integers
