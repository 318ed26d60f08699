"""Inception-ResNet v1 as facenet trained it and facenet-pytorch has it.

Sources: Szegedy et al. 2016, arXiv:1602.07261; ``inception_resnet_v1.py`` of facenet-pytorch,
whose names these modules have.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.graph import BatchNorm

_EPS = 1e-3  # TensorFlow's

Size = int | tuple[int, int]


class ConvBlock(nn.Module):
    """Convolution without bias, batch normalisation, ReLU.

    Args:
        channels: of the input.
        filters: of the output.
        kernel: size, or (height, width).
        stride: of the convolution.
        padding: of the convolution.
    """

    def __init__(
        self, channels: int, filters: int, kernel: Size, stride: int = 1, padding: Size = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding, bias=False)
        self.bn = BatchNorm(filters, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, filters, H', W')."""
        return F.relu(self.bn(self.conv(x)))


def _branch(channels: int, *layers: tuple[int, Size, int, Size]) -> nn.Sequential:
    """Blocks one after the other, each (filters, kernel, stride, padding)."""
    blocks = []
    for filters, kernel, stride, padding in layers:
        blocks.append(ConvBlock(channels, filters, kernel, stride, padding))
        channels = filters
    return nn.Sequential(*blocks)


class Residual(nn.Module):
    """Branches joined and brought back to the input's channels, a share of which is added to it.

    Args:
        channels: of input and output.
        filters: of each branch's output.
        branches: the layers of each branch after its first, which is a 1x1 convolution.
        scale: the share.
        activation: end with a ReLU.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        branches: Sequence[Sequence[tuple[Size, Size]]],
        scale: float,
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.activation = activation
        self.count = len(branches)
        for index, layers in enumerate(branches):
            branch = _branch(
                channels, (filters, 1, 1, 0), *((filters, k, 1, padding) for k, padding in layers)
            )
            self.add_module(f"branch{index}", branch if layers else branch[0])
        self.conv2d = nn.Conv2d(filters * self.count, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        parts = [self.get_submodule(f"branch{index}")(x) for index in range(self.count)]
        y: Tensor = self.conv2d(torch.cat(parts, dim=1)) * self.scale + x
        return F.relu(y) if self.activation else y


class Reduction(nn.Module):
    """Branches of stride 2 and a maximum pooling, joined.

    Args:
        branches: in their order.
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.count = len(branches)
        for index, branch in enumerate(branches):
            self.add_module(f"branch{index}", branch)

    def forward(self, x: Tensor) -> Tensor:
        """Half the height and width."""
        parts = [self.get_submodule(f"branch{index}")(x) for index in range(self.count)]
        return torch.cat([*parts, F.max_pool2d(x, 3, stride=2)], dim=1)


class InceptionResNetV1(EmbeddingNetwork):
    """Inception-ResNet v1 on a 160x160 crop, its embeddings of unit length.

    Args:
        embedding_size: D.
        dropout: probability, before the fully connected layer.
    """

    def __init__(self, embedding_size: int = 512, dropout: float = 0.6) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)
        self.conv2d_1a = ConvBlock(3, 32, 3, stride=2)
        self.conv2d_2a = ConvBlock(32, 32, 3)
        self.conv2d_2b = ConvBlock(32, 64, 3, padding=1)
        self.conv2d_3b = ConvBlock(64, 80, 1)
        self.conv2d_4a = ConvBlock(80, 192, 3)
        self.conv2d_4b = ConvBlock(192, 256, 3, stride=2)
        self.repeat_1 = nn.Sequential(
            *(Residual(256, 32, ((), ((3, 1),), ((3, 1), (3, 1))), 0.17) for _ in range(5))
        )
        self.mixed_6a = Reduction(
            ConvBlock(256, 384, 3, 2), _branch(256, (192, 1, 1, 0), (192, 3, 1, 1), (256, 3, 2, 0))
        )
        wide = (((1, 7), (0, 3)), ((7, 1), (3, 0)))
        self.repeat_2 = nn.Sequential(*(Residual(896, 128, ((), wide), 0.10) for _ in range(10)))
        self.mixed_7a = Reduction(
            _branch(896, (256, 1, 1, 0), (384, 3, 2, 0)),
            _branch(896, (256, 1, 1, 0), (256, 3, 2, 0)),
            _branch(896, (256, 1, 1, 0), (256, 3, 1, 1), (256, 3, 2, 0)),
        )
        narrow = (((1, 3), (0, 1)), ((3, 1), (1, 0)))
        self.repeat_3 = nn.Sequential(*(Residual(1792, 192, ((), narrow), 0.20) for _ in range(5)))
        self.block8 = Residual(1792, 192, ((), narrow), 1.0, activation=False)
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(1792, embedding_size, bias=False)
        self.last_bn = BatchNorm(embedding_size, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D) of length 1, of inputs (N, 3, 160, 160)."""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(F.max_pool2d(x, 3, stride=2))))
        x = self.repeat_2(self.mixed_6a(self.repeat_1(x)))
        x = self.block8(self.repeat_3(self.mixed_7a(x)))
        x = self.last_bn(self.last_linear(self.dropout(x.mean(dim=(2, 3)))))
        return F.normalize(x)
