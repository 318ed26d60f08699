"""Local response normalisation against its formula, and in half precision."""

import pytest
import torch

from facetool.networks.fold import fold_batch_norm
from facetool.networks.graph import Node, build_graph
from facetool.networks.lrn import LocalResponseNorm, local_response_norm


def by_formula(x: torch.Tensor, size: int) -> torch.Tensor:
    out = torch.empty_like(x)
    for channel in range(x.shape[1]):
        window = x[:, max(0, channel - size // 2) : channel + size // 2 + 1]
        out[:, channel] = x[:, channel] / (1 + 1e-4 / size * window.square().sum(1)) ** 0.75
    return out


def test_the_formula() -> None:
    x = torch.randn(2, 9, 4, 4, dtype=torch.float64) * 50
    assert torch.allclose(LocalResponseNorm(5)(x.float()), by_formula(x, 5).float(), atol=1e-4)


@pytest.mark.parametrize("size", [1, 4, 5])
@pytest.mark.parametrize(("beta", "k"), [(0.75, 1.0), (0.6, 2.0)])
def test_pytorchs_own_and_its_gradient(size: int, beta: float, k: float) -> None:
    x = (torch.randn(2, 9, 4, 5, dtype=torch.float64) * 50).requires_grad_()
    ours = local_response_norm(x, size, 1e-2, beta, k)
    theirs = torch.nn.functional.local_response_norm(x, size, 1e-2, beta, k)
    assert torch.allclose(ours, theirs, rtol=1e-12)
    weights = torch.randn_like(x)
    (gradient,) = torch.autograd.grad((ours * weights).sum(), x)
    (expected,) = torch.autograd.grad((theirs * weights).sum(), x)
    assert torch.allclose(gradient, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_runs_on_a_cpu(dtype: torch.dtype) -> None:
    x = (torch.randn(2, 9, 4, 4) * 300).to(dtype)
    out = LocalResponseNorm(5)(x)
    assert out.dtype == dtype
    assert torch.allclose(out.float(), by_formula(x.double(), 5).float(), rtol=1e-2, atol=1e-2)


def test_a_graph_with_it_can_be_folded() -> None:
    """It branches on its input's type, which a tracer must not see."""
    nodes = [
        Node("conv", "conv", ("input",), {"in_channels": 3, "out_channels": 6, "kernel_size": 3}),
        Node("norm", "local_response_norm", ("conv",), {"size": 5}),
    ]
    tensors = {"conv.weight": torch.randn(6, 3, 3, 3), "conv.bias": torch.randn(6)}
    network = build_graph(nodes, tensors)
    x = torch.randn(1, 3, 8, 8)
    assert torch.allclose(fold_batch_norm(network)(x), network(x))


@pytest.mark.parametrize("largest", [0.1, 3.0, 13.0, 40.0])
def test_small_numbers_in_bfloat16(largest: float) -> None:
    """Near 1 the power is taken to first order, which must not show in the result."""
    x = (torch.randn(2, 9, 4, 4).clamp(-1, 1) * largest).to(torch.bfloat16)
    x = x.to(memory_format=torch.channels_last)
    exact = by_formula(x.double(), 5)
    out = LocalResponseNorm(5)(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert (out.double() / exact - 1).abs().max() < 2**-8 + 3e-4


@pytest.mark.parametrize("size", [1, 4, 5])
def test_with_and_without_gradient(size: int) -> None:
    x = torch.randn(3, 9, 4, 5) * 50
    with torch.no_grad():
        ours = local_response_norm(x, size, 1e-2, 0.75, 2.0)
    theirs = torch.nn.functional.local_response_norm(x, size, 1e-2, 0.75, 2.0)
    assert torch.allclose(ours, theirs, rtol=1e-5)
    assert local_response_norm(x[:0], size).shape == x[:0].shape


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_pytorchs_exporter_records_it(dtype: torch.dtype, tolerance: float) -> None:
    """What runs otherwise looks at numbers, of which an exporter and a compiler have none."""
    x = (torch.randn(2, 9, 4, 4) * 300).to(dtype)
    recorded = torch.export.export(LocalResponseNorm(5), (x,)).module()
    expected = by_formula(x.double(), 5).float()
    assert torch.allclose(recorded(x).float(), expected, rtol=tolerance, atol=tolerance)
