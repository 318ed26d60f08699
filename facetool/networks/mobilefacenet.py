"""MobileFaceNet (Chen et al. 2018): InsightFace's y1 and y2, and the form for 112x96 crops."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.mxnet_layers import (
    MXNET_EPS,
    RESNET_EPS,
    ScaleInput,
    batch_norm,
    conv_block,
    xavier_,
)

# Per stage: filters, expansion of the strided bottleneck, expansion of the others.
_STAGES = ((64, 128, 128), (128, 256, 256), (128, 512, 256))
_LAST = 512


class Bottleneck(nn.Module):
    """1x1 expansion, 3x3 depthwise convolution, 1x1 projection without activation.

    Args:
        channels: of the input.
        filters: of the output.
        expansion: channels of the depthwise convolution.
        stride: of the depthwise convolution; with 1 the input is added to the result.
        eps: of every batch normalisation.
    """

    def __init__(
        self, channels: int, filters: int, expansion: int, stride: int, eps: float
    ) -> None:
        super().__init__()
        self.expand = conv_block(channels, expansion, 1, eps=eps)
        self.depthwise = conv_block(
            expansion, expansion, 3, stride=stride, padding=1, groups=expansion, eps=eps
        )
        self.project = conv_block(expansion, filters, 1, activation=False, eps=eps)
        self.residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, filters, H / stride, W / stride)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class MobileFaceNet(EmbeddingNetwork):
    """The trunk common to all forms, ending in a depthwise convolution over the whole map.

    Args:
        blocks: depthwise blocks before the first stage, then residual bottlenecks per stage.
        final_size: height and width of the last map.
        eps: of the trunk's batch normalisations.
        scale: the layer in front.
        fc: the fully connected layer.
        bn: the batch normalisation after it.
        width: multiplies the channels between the blocks, but not those inside them.
        first_expansion: of the residual bottlenecks before the first stage, where there are any.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        final_size: tuple[int, int],
        eps: float,
        scale: nn.Module,
        fc: nn.Linear,
        bn: nn.Module,
        width: int = 1,
        first_expansion: int = 64,
    ) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=fc.out_features)
        self.input = scale
        first, *counts = blocks
        channels = 64 * width
        layers: list[nn.Module] = [conv_block(3, channels, 3, stride=2, padding=1, eps=eps)]
        if first == 1:
            layers.append(conv_block(channels, channels, 3, padding=1, groups=64, eps=eps))
        else:
            layers.extend(
                Bottleneck(channels, channels, first_expansion, 1, eps) for _ in range(first)
            )
        for count, (base, strided, plain) in zip(counts, _STAGES, strict=True):
            filters = base * width
            layers.append(Bottleneck(channels, filters, strided, 2, eps))
            layers.extend(Bottleneck(filters, filters, plain, 1, eps) for _ in range(count))
            channels = filters
        layers.append(conv_block(channels, _LAST, 1, eps=eps))
        layers.append(conv_block(_LAST, _LAST, final_size, groups=_LAST, activation=False, eps=eps))
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(OrderedDict(fc=fc, bn=bn))
        xavier_(self, "gaussian", "out")

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D), not normalised, of inputs (N, 3, 112, 112) or (N, 3, 112, 96)."""
        y: Tensor = self.head(self.body(self.input(x)).flatten(1))
        return y


def mobilefacenet(blocks: Sequence[int] = (1, 4, 6, 2), embedding_size: int = 128) -> MobileFaceNet:
    """InsightFace's MobileFaceNet y1 for pixels 0…255, 112x112.

    Args:
        blocks: see :class:`MobileFaceNet`; y2 is ``(2, 8, 16, 4)`` with ``embedding_size=256``.
        embedding_size: D.
    """
    return MobileFaceNet(
        blocks,
        (7, 7),
        MXNET_EPS,
        ScaleInput(),
        nn.Linear(_LAST, embedding_size),
        batch_norm(embedding_size, RESNET_EPS, fix_gamma=True),
    )


def mobilefacenet_112x96(embedding_size: int = 128) -> MobileFaceNet:
    """MobileFaceNet for crops 112 high and 96 wide, scaled by the recipe, not inside.

    Args:
        embedding_size: D.
    """
    eps = 1e-5
    return MobileFaceNet(
        (1, 4, 6, 2),
        (7, 6),
        eps,
        nn.Identity(),
        nn.Linear(_LAST, embedding_size, bias=False),
        batch_norm(embedding_size, eps),
    )


def mobilefacenet_pytorch(
    blocks: Sequence[int] = (1, 4, 6, 2), width: int = 1, embedding_size: int = 512
) -> MobileFaceNet:
    """MobileFaceNet as InsightFace_Pytorch, face.evoLVe and arcface_torch have it, 112x112.

    Inputs are scaled by the recipe, not inside.

    Args:
        blocks: see :class:`MobileFaceNet`; arcface_torch's ``mbf_large`` is ``(2, 8, 12, 4)`` with
            ``width=4``.
        width: see :class:`MobileFaceNet`; arcface_torch's ``mbf`` has 2.
        embedding_size: D.
    """
    eps = 1e-5
    return MobileFaceNet(
        blocks,
        (7, 7),
        eps,
        nn.Identity(),
        nn.Linear(_LAST, embedding_size, bias=False),
        batch_norm(embedding_size, eps),
        width,
        first_expansion=128,
    )
