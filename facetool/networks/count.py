"""Parameters and operations of a network, counted by running it once on no faces."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from facetool.files.text import counted
from facetool.networks.dlib_resnet import add_zero_extended
from facetool.networks.fold import fold_batch_norm, trace
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


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """A layer or another step of a network.

    Attributes:
        name: of the layer in the network's ``state_dict``; of a step without weights, the function.
        kind: of layer, with the size and stride of its windows.
        output: shape of what it gives for one face.
        parameters: numbers it learns; those that an earlier step has used count there.
        multiply_adds: as in :class:`Flops`.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


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


def count_layers(network: nn.Module, shape: tuple[int, int, int]) -> list[LayerCount]:
    """Count what each layer learns and costs for one face, batch normalisation not folded.

    Steps that only arrange values in another shape are left out.

    Args:
        network: on any device, "meta" included; stays as it was.
        shape: (C, H, W) of the input.
    """
    device = next((parameter.device for parameter in network.parameters()), None)
    lister = _Lister(trace(network))
    with torch.no_grad():
        lister.run(torch.empty(0, *shape, device=device))
    return lister.layers


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


class _Lister(_Counter):
    """Notes of each step what it adds to the counts."""

    def __init__(self, body: fx.GraphModule) -> None:
        super().__init__(body)
        self.layers: list[LayerCount] = []
        self._seen: set[int] = set()

    def run_node(self, node: fx.Node) -> Any:
        """Run a step, count and note it."""
        before = self.multiply_adds
        out = super().run_node(node)
        if node.op in ("placeholder", "output") or not isinstance(out, torch.Tensor):
            return out
        name, kind, learned = node.name, getattr(node.target, "__name__", str(node.target)), []
        if node.op in ("call_module", "get_attr"):
            name = str(node.target)
            part = self.fetch_attr(name)
            module = isinstance(part, nn.Module)
            kind = _kind(part) if module else "parameter"
            tensors = part.parameters() if module else [part]
            learned = [one for one in tensors if isinstance(one, nn.Parameter)]
        elif kind in _ARRANGES:
            return out
        own = [one for one in learned if id(one) not in self._seen]
        self._seen.update(map(id, own))
        self.layers.append(
            LayerCount(
                name=name,
                kind=kind,
                output=tuple(out.shape if node.op == "get_attr" else out.shape[1:]),
                parameters=sum(one.numel() for one in own),
                multiply_adds=self.multiply_adds - before,
            )
        )
        return out


def _kind(module: nn.Module) -> str:
    """A layer's class, and of those with windows their size, stride and groups."""
    kind = type(module).__name__
    size = getattr(module, "kernel_size", None)
    if size is None:
        return kind
    stride = _pair(getattr(module, "stride", 1))[0]
    groups = getattr(module, "groups", 1)
    text = f"{kind} {'x'.join(map(str, _pair(size)))}"
    text += f"/{stride}" if stride > 1 else ""
    return text + (f", {counted(groups, 'group')}" if groups > 1 else "")


def _pair(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else size


_ARRANGES = {"reshape", "view", "flatten", "permute", "transpose", "getitem", "to", "float"}
"""Steps that compute nothing."""

_ELEMENTWISE = {
    *(operator.add, operator.iadd, operator.sub, operator.mul, operator.truediv),
    *(torch.add, torch.sub, torch.mul, torch.div, add_zero_extended),
}
_PRODUCTS = {torch.matmul, torch.bmm, operator.matmul}
