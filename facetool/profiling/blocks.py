"""Where in a network the time goes."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, fx

from facetool.networks.fold import FoldedNetwork
from facetool.profiling.timing import Clock

_BEFORE_ALL = "input"


def time_blocks(network: FoldedNetwork, inputs: Tensor, passes: int) -> dict[str, float]:
    """Mean milliseconds per pass of each top-level block, in the order they run in.

    Steps run one by one here, so their sum is a little more than a pass takes. What lies between
    two blocks (a sum, a pooling) counts with the block before it.

    Args:
        network: on the device and in the precision to measure.
        inputs: (N, 3, H, W), likewise.
        passes: to average over, after one to warm up.
    """
    timer = _BlockTimer(network.body, Clock(inputs.device))
    with torch.inference_mode():
        timer.run(inputs)
        timer.marks.clear()
        for _ in range(passes):
            timer.run(inputs)
    totals: defaultdict[str, float] = defaultdict(float)
    for block, start, end in timer.marks:
        totals[block] += timer.clock.milliseconds(start, end) / passes
    return dict(totals)


class _BlockTimer(fx.Interpreter):
    """Runs a network step by step and marks when each began and ended."""

    def __init__(self, body: fx.GraphModule, clock: Clock) -> None:
        super().__init__(body)
        self.clock = clock
        self.marks: list[tuple[str, Any, Any]] = []
        self._block = _BEFORE_ALL

    def run_node(self, node: fx.Node) -> Any:
        """Run a step and note its time."""
        if node.op == "placeholder":
            self._block = _BEFORE_ALL
        elif node.op == "call_module":
            self._block = block_name(str(node.target))
        start = self.clock.mark()
        out = super().run_node(node)
        self.marks.append((self._block, start, self.clock.mark()))
        return out


def block_name(layer: str) -> str:
    """The top-level block of a layer.

    ``stages.0.1.bn1`` belongs to ``stages.0`` and ``stem.conv`` to ``stem``. Layers of foreign
    files stand side by side and are told apart by the first number in their names:
    ``layers.stage1_unit1_bn1`` belongs to ``stage1``.
    """
    if layer.startswith("layers."):
        found = re.match(r"\D*\d*", layer.removeprefix("layers."))
        return found.group() if found else layer
    *above, last = layer.split(".")
    return ".".join(above[:2]) or last
