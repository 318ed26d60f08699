"""Steps of a traced network that give the same in fewer or faster ones, where it only runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from facetool.networks import onednn
from facetool.networks.graph import depth_concat


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


def pool_without_places(body: fx.GraphModule, dtype: torch.dtype) -> None:
    """Take the maxima of windows without noting where they were, in place.

    PyTorch notes that in every maximum pooling on a CPU. In bfloat16 and channels_last the maxima
    alone take half the time; in float32 it pays for windows of two by two pixels.

    Args:
        body: as it runs, with :class:`facetool.networks.onednn.FusedConv` where it has any.
        dtype: in which it runs.
    """
    modules = dict(body.named_modules())
    for node in list(body.graph.nodes):
        window = _window(node, modules)
        if window is None or (dtype != torch.bfloat16 and window[0] > 2):
            continue
        as_integers = dtype == torch.bfloat16 and _never_negative(node.args[0], modules)
        with body.graph.inserting_before(node):
            pooled = body.graph.call_function(max_pool, (node.args[0], *window, as_integers))
        node.replace_all_uses_with(pooled)
        body.graph.erase_node(node)
    body.recompile()


def _window(node: fx.Node, modules: Mapping[str, nn.Module]) -> tuple[int, int, int] | None:
    """Edge, stride and padding of a maximum pooling that :func:`max_pool` can do."""
    if node.target is F.max_pool2d:
        args: Any = node.args[1:]
        kwargs: Any = node.kwargs
        return _square(*args, **kwargs)
    pool = modules.get(str(node.target)) if node.op == "call_module" else None
    if type(pool) is not nn.MaxPool2d:
        return None
    return _square(
        *(pool.kernel_size, pool.stride, pool.padding, pool.dilation),
        *(pool.ceil_mode, pool.return_indices),
    )


def _square(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[int, int, int] | None:
    """Edge, stride and padding, if these arguments of ``max_pool2d`` mean plain squares."""
    sizes = (kernel_size, kernel_size if stride is None else stride, padding, dilation)
    pairs = [(size, size) if isinstance(size, int) else tuple(size) for size in sizes]
    (edge, step, pad, spread) = (pair[0] for pair in pairs)
    plain = all(len({*pair}) == 1 for pair in pairs) and spread == 1
    if not plain or ceil_mode or return_indices or 2 * pad >= edge:
        return None
    return edge, step, pad


def _never_negative(node: Any, modules: Mapping[str, nn.Module]) -> bool:
    """Whether a step gives no number below 0, nor NaN, whatever its input.

    oneDNN's ReLU makes NaN 0.
    """
    if node.target in (depth_concat, torch.cat, max_pool):
        return all(_never_negative(each, modules) for each in node.all_input_nodes)
    module = modules.get(str(node.target)) if node.op == "call_module" else None
    if isinstance(module, nn.MaxPool2d | nn.LocalResponseNorm):
        return _never_negative(node.args[0], modules)
    return isinstance(module, onednn.FusedConv) and module.ends_in_relu


def max_pool(x: Tensor, edge: int, stride: int, padding: int, as_integers: bool = False) -> Tensor:
    """What ``F.max_pool2d`` gives of (N, C, H, W), for less than half an edge of padding.

    Args:
        x: on a CPU.
        edge: of the squares.
        stride: between them.
        padding: on all sides.
        as_integers: the numbers are of bfloat16, of which none is below 0 or NaN: as integers they
            have the same order, and are compared twice as fast.
    """
    numbers = x.view(torch.int16) if as_integers else x
    for axis in (2, 3):
        numbers = _maxima(numbers, axis, edge, stride, padding)
    return numbers.view(x.dtype)


def _maxima(x: Tensor, axis: int, size: int, stride: int, padding: int) -> Tensor:
    """The maxima of windows along one axis."""
    length = x.shape[axis]
    count = (length + 2 * padding - size) // stride + 1

    def numbers(offset: int, first: int, last: int) -> Tensor:
        """At a place of the windows from the first to before the last."""
        places = slice(stride * first + offset, stride * (last - 1) + offset + 1, stride)
        return x[(slice(None),) * axis + (places,)]

    # At an offset of 0 no window is beyond an end, and with the next one seldom.
    ranges = {
        offset: (max(0, -(offset // stride)), min(count, (length - 1 - offset) // stride + 1))
        for offset in range(-padding, size - padding)
    }
    begin = numbers(0, *ranges.pop(0))
    if ranges.get(1) == (0, count):
        out = torch.maximum(begin, numbers(1, *ranges.pop(1)))
    else:
        out = begin.clone(memory_format=torch.preserve_format)
    for offset, (first, last) in ranges.items():
        if first < last:
            part = out.narrow(axis, first, last - first)
            torch.maximum(part, numbers(offset, first, last), out=part)
    return out
