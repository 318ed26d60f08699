"""OpenFace's networks: FaceNet's NN2 and NN4 (Schroff et al. 2015) and two smaller cuts of NN4.

Two sets of pooling layers exist for the same weights. OpenFace's definitions of January 2016,
with which its published weights were made, pool inside the Inception blocks with large strides
and centre the small maps in zeros; since June 2016 every branch keeps the block's size. Weights
of one kind load into the other without a word and give wrong embeddings.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, finfo, nn

from facetool.errors import UsageError
from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.graph import depth_concat, unit_length
from facetool.networks.lrn import LocalResponseNorm

Pooling = Literal["june2016", "january2016"]


class InceptionWidths(NamedTuple):
    """One Inception block; 0 leaves a convolution out.

    Attributes:
        reduce3: 1x1 filters before the 3x3 convolution.
        conv3: 3x3 filters.
        reduce5: 1x1 filters before the 5x5 convolution.
        conv5: 5x5 filters.
        pool: ``max`` or ``l2``.
        project: 1x1 filters after the pooling.
        conv1: filters of the plain 1x1 branch.
        stride: of the 3x3 and 5x5 convolutions.
    """

    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool: Literal["max", "l2"]
    project: int
    conv1: int
    stride: int = 1


_START = {
    "3a": InceptionWidths(96, 128, 16, 32, "max", 32, 64),
    "3b": InceptionWidths(96, 128, 32, 64, "l2", 64, 64),
    "3c": InceptionWidths(128, 256, 32, 64, "max", 0, 0, stride=2),
    "4a": InceptionWidths(96, 192, 32, 64, "l2", 128, 256),
}
_4B = {"4b": InceptionWidths(112, 224, 32, 64, "l2", 128, 224)}
_4CD = {
    "4c": InceptionWidths(128, 256, 32, 64, "l2", 128, 192),
    "4d": InceptionWidths(144, 288, 32, 64, "l2", 128, 160),
}
_4E = {"4e": InceptionWidths(160, 256, 64, 128, "max", 0, 0, stride=2)}
_NN2_END = {
    "5a": InceptionWidths(192, 384, 48, 128, "l2", 128, 384),
    "5b": InceptionWidths(192, 384, 48, 128, "max", 128, 384),
}
_NN4_END = {
    "5a": InceptionWidths(192, 384, 0, 0, "l2", 128, 384),
    "5b": InceptionWidths(192, 384, 0, 0, "max", 128, 384),
}
_SMALL2_END = {
    "5a": InceptionWidths(96, 384, 0, 0, "l2", 96, 256),
    "5b": InceptionWidths(96, 384, 0, 0, "max", 96, 256),
}
INCEPTION_BLOCKS: dict[str, dict[str, InceptionWidths]] = {
    "nn2": {**_START, **_4B, **_4CD, **_4E, **_NN2_END},
    "nn4": {**_START, **_4B, **_4CD, **_4E, **_NN4_END},
    "nn4.small1": {**_START, **_4B, **_4E, **_NN4_END},
    "nn4.small2": {**_START, **_4E, **_SMALL2_END},
}
FINAL_SIZE = {"nn2": 7, "nn4": 3, "nn4.small1": 3, "nn4.small2": 3}


class L2Pool(nn.Module):
    """Square root of the sum of squares over 3x3 windows (Torch7's ``SpatialLPPooling``).

    Args:
        stride: between windows.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, H, W) without padding."""
        total = F.avg_pool2d(x.square(), 3, self.stride, divisor_override=1)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return total.sqrt()
        # Windows of zeros are common after ReLU; there the root's gradient is 0, as in Torch7.
        return total.clamp_min(finfo(total.dtype).tiny).sqrt()


def _conv(channels: int, filters: int, kernel: int = 1, stride: int = 1) -> list[nn.Module]:
    """Convolution with bias, batch normalisation, ReLU."""
    return [
        nn.Conv2d(channels, filters, kernel, stride, padding=kernel // 2),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
    ]


class Inception(nn.Module):
    """dpnn's ``Inception``: 3x3, 5x5, pooling and 1x1 branches, joined along the channels.

    Args:
        channels: of the input.
        block: the branches.
        pooling: which of the two sets of pooling layers.
    """

    def __init__(self, channels: int, block: InceptionWidths, pooling: Pooling) -> None:
        super().__init__()
        january = pooling == "january2016"
        pool: nn.Module
        if block.pool == "l2":
            pool = L2Pool(stride=3 if january else 1)
        elif january:
            pool = nn.MaxPool2d(3, stride=2)
        else:
            pool = nn.MaxPool2d(3, block.stride, padding=1)

        branches = []
        for kernel, reduce, filters in (
            (3, block.reduce3, block.conv3),
            (5, block.reduce5, block.conv5),
        ):
            if filters:
                branches.append(
                    _conv(channels, reduce) + _conv(reduce, filters, kernel, block.stride)
                )
        branches.append([pool, *(_conv(channels, block.project) if block.project else [])])
        if block.conv1:
            branches.append(_conv(channels, block.conv1))
        self.branches = nn.ModuleList(nn.Sequential(*layers) for layers in branches)
        self.out_channels = block.conv3 + block.conv5 + (block.project or channels) + block.conv1

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, out_channels, H', W')."""
        return depth_concat([branch(x) for branch in self.branches])


class OpenFace(EmbeddingNetwork):
    """An OpenFace network; embeddings have length 1: x / sqrt(sum x² + 1e-10).

    Input RGB 0…1, 96x96 (nn2: 224x224). Initialised as Torch7 does.

    Args:
        variant: ``nn4.small2``, ``nn4.small1``, ``nn4`` or ``nn2``.
        pooling: ``january2016`` for OpenFace's published weights and older, else ``june2016``.
        embedding_size: D.

    Raises:
        UsageError: there is no such pooling.
    """

    def __init__(
        self, variant: str, pooling: Pooling = "june2016", embedding_size: int = 128
    ) -> None:
        super().__init__()
        if pooling not in get_args(Pooling):
            raise UsageError(f"pooling {pooling!r} is not one of {', '.join(get_args(Pooling))}")
        self.info = NetworkInfo(embedding_size=embedding_size)
        self.final_size = FINAL_SIZE[variant]
        self.stem = nn.Sequential(
            *_conv(3, 64, 7, stride=2),
            nn.MaxPool2d(3, 2, padding=1),
            LocalResponseNorm(5),
            *_conv(64, 64),
            *_conv(64, 192, 3),
            LocalResponseNorm(5),
            nn.MaxPool2d(3, 2, padding=1),
        )
        self.inception = nn.Sequential()
        channels = 192
        for name, block in INCEPTION_BLOCKS[variant].items():
            inception = Inception(channels, block, pooling)
            self.inception.add_module(name, inception)
            channels = inception.out_channels
        self.fc = nn.Linear(channels, embedding_size)
        # PyTorch took U(-1, 1) / sqrt(fan_in) for convolutions and linear layers from Torch7.
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D) of length 1 for inputs (N, 3, H, W) in 0…1."""
        y = self.inception(self.stem(x))
        y = F.avg_pool2d(y, self.final_size, stride=1).flatten(1)
        return unit_length(self.fc(y), eps=1e-10)
