"""InsightFace's DenseNets (networks ``d121``, ``d161``, ``d169`` and ``d201``).

Source: ``fdensenet.py`` and ``symbol_utils.py`` of InsightFace, 2018; after Huang et al. 2017,
Densely Connected Convolutional Networks (arXiv:1608.06993), the form with bottlenecks (4k) and
compression (0.5). Nothing but the output layers follows the last stage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.mxnet_layers import HeadE, batch_norm, stem, xavier_

_DROPOUT = 0.2


class DenseUnit(nn.Module):
    """Appends ``growth`` new channels to its input.

    Args:
        channels: of the input.
        growth: k.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.bn1 = batch_norm(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.bn2 = batch_norm(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, channels + growth, H, W), the input first."""
        y = self.dropout(self.conv1(self.relu(self.bn1(x))))
        y = self.dropout(self.conv2(self.relu(self.bn2(y))))
        return torch.cat((x, y), dim=1)


def transition(channels: int, filters: int) -> nn.Sequential:
    """Between two stages: BN, ReLU, conv 1x1, dropout, 2x2 average pooling.

    Args:
        channels: of the input.
        filters: channels of the output, of half the height and width.
    """
    return nn.Sequential(
        OrderedDict(
            bn=batch_norm(channels),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(channels, filters, 1, bias=False),
            dropout=nn.Dropout(_DROPOUT),
            pool=nn.AvgPool2d(2),
        )
    )


class LDenseNetE(EmbeddingNetwork):
    """DenseNet-BC on (N, 3, 112, 112), pixels 0…255.

    Args:
        embedding_size: D.
        units: dense units of each stage; all stages but the last end by halving the map.
        growth: k, the channels each unit adds.
    """

    def __init__(
        self,
        embedding_size: int = 512,
        units: Sequence[int] = (6, 12, 24, 16),
        growth: int = 32,
    ) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)
        channels = min(2 * growth, 64)
        # The original halves a count that starts at 2k even where its stem has only 64 filters,
        # so with k = 48 the transitions are wider than half of what they get.
        counted = 2 * growth
        self.stem = stem(channels)
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for number, length in enumerate(units, start=1):
            stage: OrderedDict[str, nn.Module] = OrderedDict()
            for unit in range(1, length + 1):
                stage[f"unit{unit}"] = DenseUnit(channels, growth)
                channels += growth
            stages[f"stage{number}"] = nn.Sequential(stage)
            if number < len(units):
                counted = (counted + length * growth) // 2
                stages[f"transition{number}"] = transition(channels, counted)
                channels = counted
        self.features = nn.Sequential(stages)
        self.head = HeadE(channels, 56 >> (len(units) - 1), embedding_size)
        xavier_(self, "uniform", "in")

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D), not normalised, of pixels (N, 3, 112, 112)."""
        y: Tensor = self.head(self.features(self.stem(x)))
        return y
