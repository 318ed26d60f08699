"""Light CNN (Wu et al. 2018, arXiv:1511.02683): 9 layers, 29 layers and its second version.

Source: ``light_cnn.py`` of the authors' PyTorch code, whose names these modules have; the layer
behind the feature, which names people in training, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetool.networks.base import EmbeddingNetwork, NetworkInfo

_WIDTHS = (48, 96, 192, 128, 128)
_LAST = 128 * 8 * 8  # numbers before the fully connected layer, of a 128x128 crop
_EMBEDDING_SIZE = 256


class MaxFeatureMap(nn.Module):
    """A layer with twice the filters, of which the larger of each pair goes on.

    Args:
        channels: of the input.
        filters: of the output.
        kernel: edge of the convolution's window, or 0 for a fully connected layer.
    """

    def __init__(self, channels: int, filters: int, kernel: int = 3) -> None:
        super().__init__()
        self.filters = filters
        self.filter: nn.Module = (
            nn.Conv2d(channels, 2 * filters, kernel, padding=kernel // 2)
            if kernel
            else nn.Linear(channels, 2 * filters)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, …) to (N, filters, …)."""
        y = self.filter(x)
        return torch.maximum(y[:, : self.filters], y[:, self.filters :])


class Group(nn.Module):
    """1x1 and 3x3 :class:`MaxFeatureMap`, one after the other.

    Args:
        channels: of the input.
        filters: of the output.
    """

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.conv_a = MaxFeatureMap(channels, channels, 1)
        self.conv = MaxFeatureMap(channels, filters)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, filters, H, W)."""
        y: Tensor = self.conv(self.conv_a(x))
        return y


class MaxFeatureMapBlock(nn.Module):
    """Two 3x3 :class:`MaxFeatureMap` around a shortcut.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = MaxFeatureMap(channels, channels)
        self.conv2 = MaxFeatureMap(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        y: Tensor = self.conv2(self.conv1(x)) + x
        return y


class LightCNN9(EmbeddingNetwork):
    """Nine layers, for one-channel inputs (N, 1, 128, 128) in 0…1."""

    def __init__(self) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=_EMBEDDING_SIZE)
        first, *widths = _WIDTHS
        layers: list[nn.Module] = [MaxFeatureMap(1, first, 5), nn.MaxPool2d(2, ceil_mode=True)]
        channels = first
        for stage, filters in enumerate(widths):
            layers.append(Group(channels, filters))
            if stage != 2:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            channels = filters
        self.features = nn.Sequential(*layers)
        self.fc1 = MaxFeatureMap(_LAST, _EMBEDDING_SIZE, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, 256), not normalised."""
        y: Tensor = self.fc1(self.features(x).flatten(1))
        return y


class LightCNN29(EmbeddingNetwork):
    """Twenty-nine layers, for one-channel inputs (N, 1, 128, 128) in 0…1.

    Args:
        units: residual blocks per stage.
        second: the second version, which adds average to maximum pooling, and ends in an ordinary
            fully connected layer.
    """

    def __init__(self, units: Sequence[int] = (1, 2, 3, 4), second: bool = False) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=_EMBEDDING_SIZE)
        self.second = second
        self.conv1 = MaxFeatureMap(1, _WIDTHS[0], 5)
        for stage, count in enumerate(units):
            channels, filters = _WIDTHS[stage : stage + 2]
            blocks = nn.Sequential(*(MaxFeatureMapBlock(channels) for _ in range(count)))
            self.add_module(f"block{stage + 1}", blocks)
            self.add_module(f"group{stage + 1}", Group(channels, filters))
        self.fc: nn.Module = (
            nn.Linear(_LAST, _EMBEDDING_SIZE)
            if second
            else MaxFeatureMap(_LAST, _EMBEDDING_SIZE, 0)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, 256), not normalised."""
        x = self._pool(self.conv1(x))
        for stage in range(1, 5):
            x = self.get_submodule(f"group{stage}")(self.get_submodule(f"block{stage}")(x))
            if stage != 3:
                x = self._pool(x)
        y: Tensor = self.fc(x.flatten(1))
        return y

    def _pool(self, x: Tensor) -> Tensor:
        """Half the height and width."""
        if self.second:
            return F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)
        return F.max_pool2d(x, 2, ceil_mode=True)
