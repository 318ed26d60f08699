"""Parameters and operations of a network, counted by running it once on no faces."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from facetool.networks.dlib_resnet import add_zero_extended
from facetool.networks.fold import fold_batch_norm
from facetool.networks.mxnet_layers import ScaleInput


@dataclass(frozen=True)
class Flops:
    """Operations for one face.

    Attributes:
        multiply_adds: of the convolutions, fully connected layers and products of matrices.
        openvino: operations as OpenVINO's model pages count them (24.2115 G for LResNet100E-IR):
            with batch normalisation folded, two for each multiply-add and for each value out of
            PReLU and a batch normalisation that remains; one for each value out of a sum, a
            product and an added bias.
    """

    multiply_adds: int
    openvino: int


def count_parameters(network: nn.Module) -> int:
    """Learned numbers: weights, biases, scales and slopes, but no running statistics."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_flops(network: nn.Module, shape: tuple[int, int, int]) -> Flops:
    """Count what one face costs.

    Args:
        network: on any device, "meta" included.
        shape: (C, H, W) of the input.
    """
    device = next((parameter.device for parameter in network.parameters()), None)
    counter = _Counter(fold_batch_norm(network).body)
    with torch.no_grad():
        # All shapes are those of a full batch, and nothing is computed.
        counter.run(torch.empty(0, *shape, device=device))
    return Flops(counter.multiply_adds, 2 * counter.multiply_adds + counter.others)


class _Counter(fx.Interpreter):
    """Adds up the operations of one face, from shapes whose first axis is the faces."""

    def __init__(self, body: fx.GraphModule) -> None:
        super().__init__(body)
        self.multiply_adds = 0
        self.others = 0

    def run_node(self, node: fx.Node) -> Any:
        """Run a step and count it."""
        inputs, _ = self.fetch_args_kwargs_from_env(node)
        out = super().run_node(node)
        if node.op == "call_module":
            self._count_module(self.fetch_attr(str(node.target)), math.prod(out.shape[1:]))
        elif node.target in _PRODUCTS:
            self.multiply_adds += math.prod(out.shape[1:]) * inputs[0].shape[-1]
        elif node.target in _ELEMENTWISE:
            self.others += math.prod(out.shape[1:])
        return out

    def _count_module(self, module: nn.Module, values: int) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            self.multiply_adds += values * math.prod(module.weight.shape[1:])
            self.others += values * (module.bias is not None)
        elif isinstance(module, nn.PReLU | nn.modules.batchnorm._BatchNorm | ScaleInput):
            self.others += 2 * values


_ELEMENTWISE = {
    *(operator.add, operator.iadd, operator.sub, operator.mul, operator.truediv),
    *(torch.add, torch.sub, torch.mul, torch.div, add_zero_extended),
}
_PRODUCTS = {torch.matmul, torch.bmm, operator.matmul}
