"""LResNet-E-IR: the residual networks of ArcFace (Deng et al. 2019), as in ``fresnet.py``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.mxnet_layers import (
    RESNET_EPS,
    HeadE,
    IRUnit,
    ScaleInput,
    conv_block,
    xavier_,
)


class LResNet(EmbeddingNetwork):
    """Four stages of :class:`IRUnit` on a 112x112 crop, then output type E.

    Each stage halves the map in its first unit, 112 to 7. The iresnet of InsightFace's PyTorch
    code is this network with ``eps=1e-5, dropout=0, scale_input=False``.

    Args:
        units: residual units per stage.
        filters: channels of the first convolution and of each stage.
        embedding_size: D.
        dropout: probability, before the fully connected layer.
        eps: of every batch normalisation.
        scale_input: take pixels 0…255 and scale them inside; otherwise the recipe scales them.
    """

    def __init__(
        self,
        units: Sequence[int],
        filters: Sequence[int] = (64, 64, 128, 256, 512),
        embedding_size: int = 512,
        dropout: float = 0.4,
        eps: float = RESNET_EPS,
        scale_input: bool = True,
    ) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)
        self.input = ScaleInput() if scale_input else nn.Identity()
        channels, *widths = filters
        self.stem = conv_block(3, channels, 3, padding=1, eps=eps)
        self.stages = nn.Sequential()
        for count, width in zip(units, widths, strict=True):
            first = IRUnit(channels, width, stride=2, project=True, eps=eps)
            others = (IRUnit(width, width, 1, project=False, eps=eps) for _ in range(count - 1))
            self.stages.append(nn.Sequential(first, *others))
            channels = width
        self.head = HeadE(channels, 7, embedding_size, dropout, eps)
        xavier_(self, "gaussian", "out")

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D), not normalised, of inputs (N, 3, 112, 112)."""
        y: Tensor = self.head(self.stages(self.stem(self.input(x))))
        return y
