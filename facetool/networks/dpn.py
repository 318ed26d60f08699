"""InsightFace's dual path networks (networks ``p68``, ``p92``, ``p107`` and ``p131``).

Source: ``fdpn.py`` and ``symbol_utils.py`` of InsightFace, 2018; after Chen et al. 2017, Dual Path
Networks (arXiv:1707.01629). Nothing but the output layers follows the last stage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.mxnet_layers import MXNET_EPS, HeadE, batch_norm, stem, xavier_


def _bn_ac_conv(
    channels: int, filters: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """BN with MXNet's default eps, ReLU, convolution that keeps the size but for its stride."""
    return nn.Sequential(
        OrderedDict(
            bn=batch_norm(channels, MXNET_EPS),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(
                channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False
            ),
        )
    )


class DualPathUnit(nn.Module):
    """One unit: the first ``width`` channels are a residual path, the others a dense one.

    A pair of paths travels as one tensor, residual channels first.

    Args:
        channels: of the input.
        bottleneck: channels of the grouped convolution.
        width: channels of the residual path.
        increment: channels appended to the dense path.
        groups: of the 3x3 convolution.
        stride: 1 or 2.
        project: start a stage: a 1x1 convolution makes the old paths from the input, the dense
            one of ``2 * increment`` channels.
    """

    def __init__(
        self,
        channels: int,
        bottleneck: int,
        width: int,
        increment: int,
        groups: int,
        stride: int,
        project: bool,
    ) -> None:
        super().__init__()
        self.width = width
        self.project = (
            _bn_ac_conv(channels, width + 2 * increment, 1, stride=stride)
            if project
            else nn.Identity()
        )
        self.a = _bn_ac_conv(channels, bottleneck, 1)
        self.b = _bn_ac_conv(bottleneck, bottleneck, 3, stride=stride, groups=groups)
        self.c = _bn_ac_conv(bottleneck, width + increment, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, width + dense, H / stride, W / stride)."""
        old, new = self.project(x), self.c(self.b(self.a(x)))
        residual = old[:, : self.width] + new[:, : self.width]
        return torch.cat((residual, old[:, self.width :], new[:, self.width :]), dim=1)


class LDPNE(EmbeddingNetwork):
    """Dual path network on (N, 3, 112, 112), pixels 0…255.

    Args:
        embedding_size: D.
        units: of each stage; all stages but the first start by halving the map.
        increments: channels each unit of a stage appends to the dense path.
        bottleneck: channels of the grouped convolutions in the first stage; doubled in each next.
        groups: of those convolutions.
        width: channels of the residual path in the first stage; doubled in each next.
        stem_filters: channels of the stem.
    """

    def __init__(
        self,
        embedding_size: int = 512,
        units: Sequence[int] = (3, 4, 20, 3),
        increments: Sequence[int] = (16, 32, 24, 128),
        bottleneck: int = 96,
        groups: int = 32,
        width: int = 256,
        stem_filters: int = 64,
    ) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)
        self.stem = stem(stem_filters)
        channels = stem_filters
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for stage, (length, increment) in enumerate(zip(units, increments, strict=True)):
            body: list[nn.Module] = []
            for unit in range(length):
                first = unit == 0
                stride = 2 if first and stage > 0 else 1
                body.append(
                    DualPathUnit(
                        channels,
                        bottleneck << stage,
                        width << stage,
                        increment,
                        groups,
                        stride,
                        project=first,
                    )
                )
                channels = (width << stage) + (3 + unit) * increment
            stages[f"conv{stage + 2}"] = nn.Sequential(*body)  # numbered as in the paper
        self.features = nn.Sequential(stages)
        self.head = HeadE(channels, 56 >> (len(units) - 1), embedding_size)
        xavier_(self, "uniform", "in")

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D), not normalised, of pixels (N, 3, 112, 112)."""
        y: Tensor = self.head(self.features(self.stem(x)))
        return y
