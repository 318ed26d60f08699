"""InsightFace's Inception-ResNet-v2 (networks ``i…``, here LInceptionResNetV2E).

Source: ``finception_resnet_v2.py`` and ``symbol_utils.py`` of InsightFace, 2018; after Szegedy et
al. 2016, Inception-v4 (arXiv:1602.07261). The original's deviations are kept: no pooling between
the stem's third and fourth convolution, 129 filters, uneven padding in block17, a last block of
scale 1 without ReLU, no global pooling.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.mxnet_layers import MXNET_EPS, HeadE, ScaleInput, batch_norm, xavier_


class Conv(NamedTuple):
    """A convolution; sizes and paddings are one number or (height, width)."""

    filters: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padding: int | tuple[int, int] = 0


Chain = tuple[Conv, ...]

_STEM: Chain = (Conv(32, 3), Conv(32, 3), Conv(64, 3, padding=1), Conv(80), Conv(192, 3))
_MIXED_5B: tuple[Chain, ...] = (
    (Conv(96),),
    (Conv(48), Conv(64, 5, padding=2)),
    (Conv(64), Conv(96, 3, padding=1), Conv(96, 3, padding=1)),
    (Conv(64),),  # after average pooling
)
_BLOCK35: tuple[Chain, ...] = (
    (Conv(32),),
    (Conv(32), Conv(32, 3, padding=1)),
    (Conv(32), Conv(48, 3, padding=1), Conv(64, 3, padding=1)),
)
_REDUCTION_A: tuple[Chain, ...] = (
    (Conv(384, 3, 2),),
    (Conv(256), Conv(256, 3, padding=1), Conv(384, 3, 2)),
)
_BLOCK17: tuple[Chain, ...] = (
    (Conv(192),),
    # The first padding makes the map two rows taller and narrower, the second undoes it.
    (Conv(129), Conv(160, (1, 7), padding=(1, 2)), Conv(192, (7, 1), padding=(2, 1))),
)
_REDUCTION_B: tuple[Chain, ...] = (
    (Conv(256), Conv(384, 3, 2)),
    (Conv(256), Conv(288, 3, 2)),
    (Conv(256), Conv(288, 3, padding=1), Conv(320, 3, 2)),
)
_BLOCK8: tuple[Chain, ...] = (
    (Conv(192),),
    (Conv(192), Conv(224, (1, 3), padding=(0, 1)), Conv(256, (3, 1), padding=(1, 0))),
)
_LAST: Chain = (Conv(1536),)


def _layers(channels: int, conv: Conv, activation: bool = True) -> nn.Sequential:
    """Convolution with bias, BN (eps 1e-3, scale fixed at 1) and perhaps ReLU."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(channels, conv.filters, conv.kernel, conv.stride, conv.padding),
        bn=batch_norm(conv.filters, MXNET_EPS, fix_gamma=True),
    )
    if activation:
        layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def _chain(channels: int, convs: Chain) -> nn.Sequential:
    """Convolutions with BN and ReLU, one after the other."""
    inputs = (channels, *[conv.filters for conv in convs])
    return nn.Sequential(*map(_layers, inputs, convs))


def _width(chains: Sequence[Chain]) -> int:
    """Channels of the chains' outputs together."""
    return sum(chain[-1].filters for chain in chains)


class Branches(nn.Module):
    """Branches from the same input, concatenated.

    Args:
        channels: of the input.
        chains: convolutions of each branch.
        others: further branches.
    """

    def __init__(
        self, channels: int, chains: Sequence[Chain], others: Sequence[nn.Module] = ()
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList([*[_chain(channels, chain) for chain in chains], *others])

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, sum of the branches' channels, H', W')."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class ScaledResidualBlock(nn.Module):
    """``relu(x + scale * conv1x1(branches(x)))``; the 1x1 convolution has a BN, but no ReLU.

    Args:
        channels: of the input and output.
        chains: convolutions of each branch.
        scale: of the sum's second term.
        activation: whether the ReLU is there.
    """

    def __init__(
        self, channels: int, chains: Sequence[Chain], scale: float, activation: bool = True
    ) -> None:
        super().__init__()
        self.scale = scale
        self.activation = activation
        self.branches = Branches(channels, chains)
        self.project = _layers(_width(chains), Conv(channels), activation=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        y = x + self.scale * self.project(self.branches(x))
        return F.relu(y) if self.activation else y


def _repeat(count: int, channels: int, chains: Sequence[Chain], scale: float) -> nn.Sequential:
    """The same block several times."""
    return nn.Sequential(*[ScaledResidualBlock(channels, chains, scale) for _ in range(count)])


class LInceptionResNetV2E(EmbeddingNetwork):
    """Inception-ResNet-v2 on (N, 3, 112, 112), pixels 0…255; the first convolution has stride 1.

    Args:
        embedding_size: D.
        blocks: numbers of block35, block17 and block8, the special last block8 counted.
        divisor: of all widths, which are rounded up; 1 is the original.
    """

    def __init__(
        self,
        embedding_size: int = 512,
        blocks: Sequence[int] = (10, 20, 10),
        divisor: int = 1,
    ) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)

        def thin(chains: Iterable[Chain]) -> list[Chain]:
            return [
                tuple(conv._replace(filters=-(-conv.filters // divisor)) for conv in chain)
                for chain in chains
            ]

        (start,), (last,) = thin([_STEM]), thin([_LAST])
        mixed, reduction_a, reduction_b = thin(_MIXED_5B), thin(_REDUCTION_A), thin(_REDUCTION_B)
        narrow = start[-1].filters
        wide = _width(mixed)
        wider = wide + _width(reduction_a)
        widest = wider + _width(reduction_b)
        pooled = nn.Sequential(nn.AvgPool2d(3, 1, padding=1), _chain(narrow, mixed[-1]))
        self.scale_input = ScaleInput()
        self.features = nn.Sequential(
            OrderedDict(
                stem=nn.Sequential(*_chain(3, start), nn.MaxPool2d(3, 2)),
                mixed_5b=Branches(narrow, mixed[:-1], [pooled]),
                block35=_repeat(blocks[0], wide, thin(_BLOCK35), 0.17),
                reduction_a=Branches(wide, reduction_a, [nn.MaxPool2d(3, 2)]),
                block17=_repeat(blocks[1], wider, thin(_BLOCK17), 0.1),
                reduction_b=Branches(wider, reduction_b, [nn.MaxPool2d(3, 2)]),
                block8=_repeat(blocks[2] - 1, widest, thin(_BLOCK8), 0.2),
                block8_last=ScaledResidualBlock(widest, thin(_BLOCK8), 1.0, activation=False),
                last=_chain(widest, last),
            )
        )
        self.head = HeadE(last[-1].filters, 12, embedding_size)
        xavier_(self, "gaussian", "in")

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D), not normalised, of pixels (N, 3, 112, 112)."""
        y: Tensor = self.head(self.features(self.scale_input(x)))
        return y
