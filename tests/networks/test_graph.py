"""Graphs from other frameworks: operators on their own, and that they can be trained."""

import pytest
import torch

from facetool.networks.graph import Node, build_graph, unit_length


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_every_row_is_normalised_by_itself(rows: int) -> None:
    """As many rows as columns, too, where dividing along the wrong axis would go unnoticed."""
    x = torch.arange(1.0, 4 * rows + 1).reshape(rows, 4)
    lengths = unit_length(x, 0.0).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(rows))
    torch.testing.assert_close(unit_length(x, 0.0)[0], x[0] / x[0].norm())


def test_an_l2_pool_over_zeros_has_a_gradient_that_is_a_number() -> None:
    """Square, average, root, as Torch7's ``SpatialLPPooling`` is lowered."""
    graph = build_graph(
        [
            Node("relu", "relu", ("input",)),
            Node("square", "square", ("relu",)),
            Node("pool", "avg_pool", ("square",), {"kernel_size": 3, "stride": 3}),
            Node("root", "sqrt", ("pool",)),
        ],
        {},
    )
    x = torch.randn(2, 3, 6, 6)
    x[:, :, :3, :3] = -1.0  # nothing but zeros behind the ReLU
    x.requires_grad_()
    y = graph(x)
    expected = torch.nn.functional.avg_pool2d(x.detach().relu().square(), 3).sqrt()
    assert torch.equal(y.detach().clamp_min(1e-18), expected.clamp_min(1e-18))
    y.sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad[:, :, :3, :3] == 0).all() and (x.grad != 0).any()
