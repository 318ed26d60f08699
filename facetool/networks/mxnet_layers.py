"""What InsightFace's networks of 2018, written for MXNet, have in common.

Sources: ``symbol_utils.py``, ``fresnet.py`` and ``fmobilefacenet.py`` of InsightFace. Submodules
are defined in the order in which they run, shortcuts last.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from facetool.networks.graph import BatchNorm

RESNET_EPS = 2e-5  # given explicitly in fresnet.py and in every output layer
MXNET_EPS = 1e-3  # MXNet's default, used wherever the originals give none


class ScaleInput(nn.Module):
    """Pixels 0…255 to about -1…1: ``(x - 127.5) * 0.0078125`` (1/128, not 1/127.5)."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale (N, 3, H, W)."""
        return (x - 127.5) * 0.0078125


def batch_norm(channels: int, eps: float = RESNET_EPS, fix_gamma: bool = False) -> BatchNorm:
    """Batch normalisation of (N, C) or (N, C, H, W).

    Args:
        channels: C.
        eps: added to the variance.
        fix_gamma: keep the scale at 1 in training (it still counts as a parameter).
    """
    layer = BatchNorm(channels, eps=eps)
    layer.weight.requires_grad_(not fix_gamma)
    return layer


def conv_block(
    channels: int,
    filters: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    activation: bool = True,
    eps: float = MXNET_EPS,
    fix_gamma: bool = False,
) -> nn.Sequential:
    """Convolution without bias ``conv``, batch normalisation ``bn`` and ``prelu``.

    Args:
        channels: of the input.
        filters: channels of the output.
        kernel: size, or (height, width).
        stride: of the convolution.
        padding: of the convolution.
        groups: of the convolution; ``channels`` makes it depthwise.
        activation: end with a PReLU, one slope per channel.
        eps: of the batch normalisation.
        fix_gamma: see :func:`batch_norm`.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=False),
        bn=batch_norm(filters, eps, fix_gamma),
    )
    if activation:
        layers["prelu"] = nn.PReLU(filters)
    return nn.Sequential(layers)


class IRUnit(nn.Module):
    """InsightFace's "improved residual" unit, version 3.

    BN, conv 3x3, BN, PReLU, conv 3x3 with the stride, BN; the shortcut is a strided 1x1
    convolution with BN on the raw input, or the input itself. Nothing follows the sum.

    Args:
        channels: of the input.
        filters: channels of the output.
        stride: 1 or 2.
        project: whether the shortcut is a convolution.
        eps: of every batch normalisation.
    """

    def __init__(
        self, channels: int, filters: int, stride: int, project: bool, eps: float = RESNET_EPS
    ) -> None:
        super().__init__()
        self.bn1 = batch_norm(channels, eps)
        self.conv1 = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        self.bn2 = batch_norm(filters, eps)
        self.prelu = nn.PReLU(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride, padding=1, bias=False)
        self.bn3 = batch_norm(filters, eps)
        self.shortcut = (
            conv_block(channels, filters, 1, stride=stride, activation=False, eps=eps)
            if project
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, filters, H / stride, W / stride)."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return torch.add(y, self.shortcut(x))


class HeadE(nn.Module):
    """Output type E: BN, dropout, fully connected, BN with its scale fixed at 1.

    Args:
        channels: of the last feature map.
        size: height and width of the last feature map.
        embedding_size: D.
        dropout: probability.
        eps: of both batch normalisations.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        embedding_size: int,
        dropout: float = 0.4,
        eps: float = RESNET_EPS,
    ) -> None:
        super().__init__()
        self.bn1 = batch_norm(channels, eps)
        self.dropout = nn.Dropout(dropout)
        self.pre_fc1 = nn.Linear(channels * size * size, embedding_size)
        self.fc1 = batch_norm(embedding_size, eps, fix_gamma=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, size, size) to embeddings (N, D), not normalised."""
        y: Tensor = self.fc1(self.pre_fc1(self.dropout(self.bn1(x)).flatten(1)))
        return y


def stem(filters: int) -> nn.Sequential:
    """Input layers of the L networks other than LResNet: (N, 3, H, W) to (N, F, H/2, W/2).

    Scaled input, conv 3x3, BN, PReLU, then one :class:`IRUnit` of stride 2.
    """
    return nn.Sequential(
        ScaleInput(),
        conv_block(3, filters, 3, padding=1, eps=RESNET_EPS),
        IRUnit(filters, filters, 2, project=True),
    )


def xavier_(
    network: nn.Module, distribution: Literal["gaussian", "uniform"], fan: Literal["in", "out"]
) -> None:
    """Initialise convolutions and fully connected layers as InsightFace's training did.

    MXNet's ``Xavier(magnitude=2)``: standard deviation, or half-width, sqrt(2 / fan), with fans
    taken from the weight's shape alone, so that groups do not divide fan_out. Biases become 0;
    PReLU slopes (0.25) and batch normalisation (1, 0) are already as MXNet has them.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if module.weight.is_meta:
                continue  # nothing to fill, and PyTorch would import 0.7 s of code to do so
            outputs, inputs = module.weight.shape[:2]
            window = math.prod(module.weight.shape[2:])
            bound = math.sqrt(2 / ((inputs if fan == "in" else outputs) * window))
            if distribution == "gaussian":
                nn.init.normal_(module.weight, 0, bound)
            else:
                nn.init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
