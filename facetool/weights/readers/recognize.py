"""Which of the known networks a graph read from a foreign file is.

Foreign files name no architecture, or name it freely. Layers with weights, their shapes and
strides tell it: no two of the networks agree in all of them, but for OpenFace's two pooling
variants, which differ in their pooling layers only. Batch normalisation may have become part of
other layers, as in most of PyTorch's exports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from functools import cache

import torch
from torch import nn

from facetool.networks.base import EmbeddingNetwork
from facetool.networks.graph import GraphNetwork
from facetool.networks.registry import ARCHITECTURES, create

Layer = tuple[Hashable, ...]

_FOLDED = 0.05
"""Share of a network's parameters that may be gone into other layers."""

POOLINGS = ("january2016", "june2016")


def recognize(network: EmbeddingNetwork) -> tuple[str, str] | None:
    """Find the architecture of a network that was read from a foreign file.

    Args:
        network: with weights or on the meta device.

    Returns:
        Registry name and variant (``january2016`` or ``june2016`` for OpenFace's networks, else
        empty), or None where it is none of the known networks.
    """
    name = next(iter(candidates(network)), None)
    return None if name is None else (name, _variant(name, network))


def candidates(network: EmbeddingNetwork) -> Iterator[str]:
    """The architectures that a network read from a foreign file may be, the likeliest first.

    Where batch normalisation is gone into other layers, there can be several.
    """
    total = sum(parameter.numel() for parameter in network.parameters())
    layers = Counter(_layers(network))
    # Only networks of about the right size are built to be compared, the nearest first.
    near = sorted(ARCHITECTURES.items(), key=lambda item: abs(item[1].parameters - total))
    for name, entry in near:
        right_size = entry.parameters * (1 - _FOLDED) < total <= entry.parameters
        if right_size and _agree(layers, _known_layers(name)):
            yield name


@cache
def _openface() -> frozenset[str]:
    return frozenset(n for n, a in ARCHITECTURES.items() if a.factory.startswith("openface:"))


@cache
def _known_layers(name: str) -> Counter[Layer]:
    with torch.device("meta"):
        return Counter(_layers(create(name)))


def _agree(layers: Counter[Layer], known: Counter[Layer]) -> bool:
    """Whether they are the same, but for batch normalisation that is gone into other layers."""
    return layers <= known and not any(kind[0] != "batch_norm" for kind in known - layers)


def _variant(name: str, network: EmbeddingNetwork) -> str:
    """The variant with the same pooling layers."""
    if name not in _openface():
        return ""
    pools = Counter(_max_pools(network))
    for pooling in POOLINGS:
        with torch.device("meta"):
            if Counter(_max_pools(create(name, pooling=pooling))) == pools:
                return pooling
    return ""


def _layers(network: nn.Module) -> Iterator[Layer]:
    """Kind, weight shape and geometry of each layer that has weights."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            geometry = (module.stride, module.padding, module.dilation, module.groups)
            yield "conv", tuple(module.weight.shape), geometry
        elif isinstance(module, nn.Linear):
            yield "linear", tuple(module.weight.shape)
        elif isinstance(module, nn.PReLU):
            yield "prelu", module.num_parameters
        elif isinstance(module, nn.BatchNorm2d):
            yield "batch_norm", module.num_features


def _max_pools(network: nn.Module) -> Iterator[Layer]:
    """Window, stride and padding of each max pooling."""
    if isinstance(network, GraphNetwork):
        for node in network.nodes:
            if node.op == "max_pool":
                attributes = dict(node.attributes)
                window = attributes["kernel_size"]
                stride = attributes.get("stride") or window
                yield _pair(window), _pair(stride), _pair(attributes.get("padding", 0))
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d):
            yield _pair(module.kernel_size), _pair(module.stride), _pair(module.padding)


def _pair(value: int | tuple[int, ...] | list[int]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
