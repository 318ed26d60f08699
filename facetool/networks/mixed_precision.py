"""Networks in a lower precision whose results are still in float32."""

from __future__ import annotations

import torch
from torch import fx, nn


def lower_precision(body: fx.GraphModule, dtype: torch.dtype) -> None:
    """Let a traced network compute in a precision, in place, but its last layers in float32.

    Those, and the steps behind them, are a small part of the work. Rounded to the eight bits of
    bfloat16, a detector's scores above 0.5 would be steps of 0.4 % in which neighbouring places
    tie, and distances would move by pixels.

    Args:
        body: in float32, every layer called once, on any device. Its inputs have to be of that
            precision afterwards.
        dtype: of everything before the last layers.
    """
    graph = body.graph
    modules: dict[str, nn.Module] = dict(body.named_modules())
    lowered = _followed_by_layers(graph)
    for node in list(graph.nodes):
        if node not in lowered:
            continue
        if node.op == "call_module":
            modules[node.target].to(dtype)
        if last := [user for user in node.users if user not in lowered]:
            with graph.inserting_after(node):
                widened = graph.call_method("float", (node,))
            for user in last:
                user.replace_input_with(node, widened)
    body.recompile()


def _followed_by_layers(graph: fx.Graph) -> set[fx.Node]:
    """The steps whose results reach a layer, by way of other steps or not."""
    found: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if any(user.op == "call_module" or user in found for user in node.users):
            found.add(node)
    return found
