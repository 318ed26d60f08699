"""Graph networks can be trained as well as run."""

import torch

from facetool.networks.graph import Node, build_graph


def test_an_l2_pool_over_zeros_has_a_gradient_that_is_a_number():
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
