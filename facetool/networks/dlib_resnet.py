"""dlib's face recognition network: a ResNet with 29 convolutions (King 2017).

The layers and their order are those of dlib's ``dnn_face_recognition_ex.cpp``: no padding
where the stride is above 1, an average pool as the shortcut past a stride, and sums of tensors
of different size, of which the smaller counts as zero beyond its end on every axis.
"""

from __future__ import annotations

from collections import OrderedDict
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetool.networks.base import EmbeddingNetwork, NetworkInfo

STEM_WIDTH = 32
RESIDUAL_BLOCKS: tuple[tuple[int, bool], ...] = (
    *[(32, False)] * 3,
    *[(64, True), (64, False), (64, False), (64, False)],
    *[(128, True), (128, False), (128, False)],
    *[(256, True), (256, False), (256, False)],
    (256, True),
)
"""Residual blocks from input to output: channels, and whether the block halves the size."""

RGB_MEAN = (122.782, 117.001, 104.298)
BATCH_NORM_EPS = 1e-4


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution and batch normalisation, padded as dlib pads by default."""
    padding = kernel // 2 if stride == 1 else 0
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(
        OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPS)),
    )


def subtract_mean(x: Tensor, mean: Tensor) -> Tensor:
    """dlib's input layer: pixels (N, 3, H, W), 0…255, less a mean (3, 1, 1), divided by 256.

    In float32, whatever the pixels are of.
    """
    return torch.add(mean * (-1 / 256), x.float(), alpha=1 / 256)


def add_zero_extended(x: Tensor, shortcut: Tensor) -> Tensor:
    """Sum of two (N, C, H, W) tensors, zero beyond the end of each; may reuse ``x``.

    ``x`` has at least the shortcut's channels and at most its height and width, as always in
    this network, so the shortcut need not be copied into a larger tensor.
    """
    below, right = shortcut.shape[2] - x.shape[2], shortcut.shape[3] - x.shape[3]
    if below or right:
        x = F.pad(x, (0, right, 0, below))
    x[:, : shortcut.shape[1]] += shortcut
    return x


class DlibBlock(nn.Module):
    """Two 3x3 convolutions past a shortcut; ``down`` halves height and width."""

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.first = conv_bn(inputs, outputs, 3, 2 if down else 1)
        self.second = conv_bn(outputs, outputs, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W), or about half of H and W."""
        out = self.second(F.relu(self.first(x), inplace=True))
        shortcut = F.avg_pool2d(x, 2) if self.down else x
        return F.relu(add_zero_extended(out, shortcut), inplace=True)


class DlibResNet(EmbeddingNetwork):
    """dlib's ResNet. Input RGB 0…255, float32 (N, 3, 150, 150); output (N, D), not normalised.

    The input layer (channel means, division by 256) is inside, as in dlib.

    Args:
        embedding_size: D.
    """

    mean: Tensor

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)
        self.register_buffer("mean", torch.tensor(RGB_MEAN).reshape(3, 1, 1))
        self.stem = conv_bn(3, STEM_WIDTH, 7, 2)
        blocks = []
        width = STEM_WIDTH
        for outputs, down in RESIDUAL_BLOCKS:
            blocks.append(DlibBlock(width, outputs, down))
            width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(width, embedding_size, bias=False)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D) of RGB crops (N, 3, H, W), 0…255."""
        x = subtract_mean(x, self.mean).to(self.fc.weight.dtype)
        x = F.max_pool2d(F.relu(self.stem(x), inplace=True), 3, stride=2)
        embedding: Tensor = self.fc(self.blocks(x).mean(dim=(2, 3)))
        return embedding


def _initialise(module: nn.Module) -> None:
    """Glorot's uniform distribution as dlib computes it: output channels, not their fan-out."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        fan_in = module.weight[0].numel()
        bound = sqrt(6 / (fan_in + module.weight.shape[0]))
        nn.init.uniform_(module.weight, -bound, bound)


def dlib_resnet(embedding_size: int = 128) -> DlibResNet:
    """dlib's face recognition ResNet with fresh weights, initialised as dlib does.

    Args:
        embedding_size: length of the embedding.
    """
    return DlibResNet(embedding_size)
