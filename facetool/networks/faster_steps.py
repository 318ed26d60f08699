"""Steps of a traced network that give the same in fewer or faster ones, where it only runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from facetool.networks import onednn


def join_convolutions(body: fx.GraphModule) -> None:
    """Let convolutions of one input that differ in nothing but their weights be one, in place.

    A detector's scores, edges and points are such, of a few channels each, which leave most of a
    processor's vectors empty. Those with a ReLU or a sum behind them, which
    :func:`facetool.networks.onednn.fuse_convolutions` makes part of them, stay apart.
    """
    for nodes in _siblings(body).values():
        if len(nodes) > 1:
            _join(body, nodes)
    body.recompile()


def _siblings(body: fx.GraphModule) -> dict[Any, list[fx.Node]]:
    """Convolutions by what has to be the same of those that are joined."""
    modules = dict(body.named_modules())
    calls = Counter(node.target for node in body.graph.nodes if node.op == "call_module")
    found: dict[Any, list[fx.Node]] = defaultdict(list)
    for node in body.graph.nodes:
        conv = modules.get(str(node.target)) if calls[node.target] == 1 else None
        if type(conv) is nn.Conv2d and conv.groups == 1 and not onednn.takes_next(node, modules):
            geometry = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
            kind = (conv.padding_mode, conv.bias is None, conv.weight.dtype)
            found[node.args[0], geometry, kind].append(node)
    return found


def _join(body: fx.GraphModule, nodes: list[fx.Node]) -> None:
    convs: list[Any] = [body.get_submodule(str(node.target)) for node in nodes]
    widths = [conv.out_channels for conv in convs]
    joined = convs[0]
    joined.weight = nn.Parameter(torch.cat([conv.weight for conv in convs]))
    if joined.bias is not None:
        joined.bias = nn.Parameter(torch.cat([conv.bias for conv in convs]))
    joined.out_channels = sum(widths)
    with body.graph.inserting_before(nodes[0]):
        together = body.graph.node_copy(nodes[0])
        for place, node in enumerate(nodes):
            own = (together, 1, sum(widths[:place]), widths[place])
            node.replace_all_uses_with(body.graph.call_function(torch.narrow, own))
    for node in nodes:
        body.graph.erase_node(node)


def pool_without_places(body: fx.GraphModule) -> None:
    """Halve maps by the maximum of four pixels, in place, without noting where it was.

    PyTorch notes that in every maximum pooling on a CPU. In bfloat16 and channels_last this takes
    half the time.
    """
    for node in body.graph.nodes:
        if node.target is F.max_pool2d and _halves(*node.args[1:], **node.kwargs):
            node.target, node.args, node.kwargs = halve, node.args[:1], {}
    body.recompile()


def _halves(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> bool:
    """Whether these arguments of ``max_pool2d`` mean squares of two by two, side by side."""
    sizes = (kernel_size, kernel_size if stride is None else stride, padding, dilation)
    pairs = [(size, size) if isinstance(size, int) else tuple(size) for size in sizes]
    return pairs == [(2, 2), (2, 2), (0, 0), (1, 1)] and not (ceil_mode or return_indices)


def halve(x: Tensor) -> Tensor:
    """The maxima (N, C, H // 2, W // 2) of two by two pixels; an odd edge is left out."""
    height, width = (side // 2 * 2 for side in x.shape[2:])
    rows = torch.maximum(x[:, :, 0:height:2], x[:, :, 1:height:2])
    return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])
