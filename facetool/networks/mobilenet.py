"""InsightFace's MobileNet (network ``m1``, known as LMobileNetE).

Source: ``fmobilenet.py`` and ``symbol_utils.py`` of InsightFace, 2018; after Howard et al. 2017,
MobileNets (arXiv:1704.04861), with PReLU for ReLU and no global pooling.
"""

from __future__ import annotations

from torch import Tensor, nn

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.mxnet_layers import HeadE, ScaleInput, conv_block, xavier_

# Stride of the depthwise and width of the pointwise convolution, in multiples of the first width.
_PAIRS = (
    (1, 2),
    (2, 4),
    (1, 4),
    (2, 8),
    (1, 8),
    (2, 16),
    *[(1, 16)] * 5,
    (2, 32),
    (1, 32),
)


class LMobileNetE(EmbeddingNetwork):
    """MobileNet v1 on (N, 3, 112, 112), pixels 0…255; the first convolution keeps the size.

    Every convolution, depthwise or pointwise, is followed by batch normalisation with eps 1e-3
    and its scale fixed at 1, and by a PReLU.

    Args:
        embedding_size: D.
        multiplier: of all widths; the first one is ``int(32 * multiplier)``.
    """

    def __init__(self, embedding_size: int = 512, multiplier: float = 1.0) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)
        base = channels = int(32 * multiplier)
        layers: list[nn.Module] = [conv_block(3, base, 3, padding=1, fix_gamma=True)]
        for stride, widening in _PAIRS:
            filters = base * widening
            layers += [
                conv_block(
                    channels,
                    channels,
                    3,
                    stride=stride,
                    padding=1,
                    groups=channels,
                    fix_gamma=True,
                ),
                conv_block(channels, filters, 1, fix_gamma=True),
            ]
            channels = filters
        self.scale_input = ScaleInput()
        self.features = nn.Sequential(*layers)
        self.head = HeadE(channels, 7, embedding_size)
        xavier_(self, "uniform", "in")

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D), not normalised, of pixels (N, 3, 112, 112)."""
        y: Tensor = self.head(self.features(self.scale_input(x)))
        return y
