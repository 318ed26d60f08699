"""IR and IR-SE: the residual networks of InsightFace_Pytorch, face.evoLVe, CurricularFace, AdaFace.

The published weights of all of them use the same names, which are these modules' names too.
Sources: ``model.py`` of InsightFace_Pytorch, ``model_irse.py`` of face.evoLVe and CurricularFace,
``net.py`` of AdaFace.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.mxnet_layers import batch_norm, xavier_

EPS = 1e-5
_STEM = 64  # channels
_WIDTHS = (64, 128, 256, 512)
_BOTTLENECK_WIDTHS = (256, 512, 1024, 2048)
_REDUCTION = 16  # of the channels inside squeeze and excitation


class SqueezeExcitation(nn.Module):
    """Weighs each channel by a small network of the channels' means.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // _REDUCTION, 1, bias=False)
        self.relu = nn.ReLU()
        self.fc2 = nn.Conv2d(channels // _REDUCTION, channels, 1, bias=False)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        means = x.mean(dim=(2, 3), keepdim=True)
        weights: Tensor = self.sigmoid(self.fc2(self.relu(self.fc1(means))))
        return x * weights


class Unit(nn.Module):
    """A residual unit; nothing follows the sum.

    It is BN, conv 3x3, PReLU, conv 3x3 with the stride, BN; as a bottleneck, through a quarter of
    the channels: BN, conv 1x1, BN, PReLU, conv 3x3, BN, PReLU, conv 1x1 with the stride, BN.

    Args:
        channels: of the input.
        filters: channels of the output; where as many, the shortcut only leaves out pixels.
        stride: 1 or 2.
        inner_bn: a batch normalisation before the PReLU, as AdaFace has it.
        se: squeeze and excitation at the end.
        bottleneck: see above; its inner batch normalisations are always there.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        stride: int,
        *,
        inner_bn: bool,
        se: bool,
        bottleneck: bool = False,
    ) -> None:
        super().__init__()
        self.shortcut_layer = (
            nn.MaxPool2d(1, stride)
            if channels == filters
            else nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride, bias=False), batch_norm(filters, EPS)
            )
        )
        inside = filters // 4 if bottleneck else filters
        kernel = 1 if bottleneck else 3
        layers = [
            batch_norm(channels, EPS),
            nn.Conv2d(channels, inside, kernel, padding=kernel // 2, bias=False),
            *([batch_norm(inside, EPS)] if inner_bn or bottleneck else []),
            nn.PReLU(inside),
        ]
        if bottleneck:
            layers += [
                nn.Conv2d(inside, inside, 3, padding=1, bias=False),
                batch_norm(inside, EPS),
                nn.PReLU(inside),
            ]
        layers += [
            nn.Conv2d(inside, filters, kernel, stride, padding=kernel // 2, bias=False),
            batch_norm(filters, EPS),
        ]
        named = OrderedDict((str(index), layer) for index, layer in enumerate(layers))
        if se:
            named["se_block" if inner_bn else str(len(layers))] = SqueezeExcitation(filters)
        self.res_layer = nn.Sequential(named)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, filters, H / stride, W / stride)."""
        y: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return y


class IRNet(EmbeddingNetwork):
    """Four stages of :class:`Unit` on a 112x112 crop, then one fully connected layer.

    Args:
        units: per stage.
        inner_bn: see :class:`Unit`.
        se: see :class:`Unit`.
        bottleneck: see :class:`Unit`; such a network has four times as many channels.
        embedding_size: D.
        dropout: probability, before the fully connected layer.
    """

    def __init__(
        self,
        units: Sequence[int],
        inner_bn: bool = False,
        se: bool = False,
        bottleneck: bool = False,
        embedding_size: int = 512,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)
        channels = _STEM
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1, bias=False),
            batch_norm(channels, EPS),
            nn.PReLU(channels),
        )
        body: list[nn.Module] = []
        widths = _BOTTLENECK_WIDTHS if bottleneck else _WIDTHS
        kind = {"inner_bn": inner_bn, "se": se, "bottleneck": bottleneck}
        for count, filters in zip(units, widths, strict=True):
            for index in range(count):
                stride = 1 if index else 2
                body.append(Unit(channels, filters, stride, **kind))
                channels = filters
        self.body = nn.Sequential(*body)
        self.output_layer = nn.Sequential(
            batch_norm(channels, EPS),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(channels * 7 * 7, embedding_size),
            batch_norm(embedding_size, EPS),
        )
        xavier_(self, "gaussian", "out")

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D), not normalised, of inputs (N, 3, 112, 112)."""
        y: Tensor = self.output_layer(self.body(self.input_layer(x)))
        return y
