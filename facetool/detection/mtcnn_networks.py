"""The three networks of MTCNN, arranged for speed: same function, other order of operations.

Source: Zhang, Zhang, Li, Qiao, "Joint face detection and alignment using multitask cascaded
convolutional networks", IEEE Signal Processing Letters 23(10), 2016.

All of them take 8-bit grey levels as float32; the originals' ``(x - 127.5) / 128`` is folded into
the first convolution. Where the originals end in a softmax of two classes, one number is left: the
sigmoid of their difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from facetool.detection.mtcnn_weights import read_weights
from facetool.errors import WeightsError, one_line

MEAN, SCALE = 127.5, 1 / 128

Arrays = Sequence[NDArray[np.float32]]


class ProposalNetwork(nn.Module):
    """P-Net: slides a window of 12x12 pixels over an image in steps of two pixels."""

    def __init__(self, weights: Arrays) -> None:
        super().__init__()
        kernel, bias, slope, *rest = weights
        weight, bias1 = _fold_normalisation(_kernel(kernel), torch.tensor(bias))
        # Pooling 2x2 is the larger part of the time where it is an operation of its own. Here the
        # four positions of its window are four groups of channels of a convolution of stride 2.
        phases = weight.new_zeros(2, 2, *weight.shape[:2], 4, 4)
        for row in (0, 1):
            for column in (0, 1):
                phases[row, column, :, :, row : row + 3, column : column + 3] = weight
        self._first = nn.Parameter(_channels_last(phases.flatten(0, 2)))
        self._first_bias = nn.Parameter(bias1.repeat(4))
        self._first_slope = nn.Parameter(torch.tensor(slope).flatten().repeat(4))
        self._rest = nn.Sequential(
            nn.Conv2d(10, 16, 3), nn.PReLU(16), nn.Conv2d(16, 32, 3), nn.PReLU(32)
        )
        *rest, boxes, boxes_bias, classes, classes_bias = rest
        _fill(self._rest, rest)
        self._head = nn.Conv2d(32, 5, 1)
        _fill_head(self._head, [classes, boxes], [classes_bias, boxes_bias])

    def forward(self, levels: Tensor) -> Tensor:
        """Windows that look like faces.

        Args:
            levels: (N, 3, H, W), at least 12 pixels high and wide; channels_last is faster.

        Returns:
            (N, 5, ceil(H / 2) - 5, ceil(W / 2) - 5): a score of 0…1 and the four edges' offsets,
            as shares of the window.
        """
        odd_rows, odd_columns = levels.shape[2] % 2, levels.shape[3] % 2
        if odd_rows or odd_columns:
            levels = F.pad(levels, (0, odd_columns, 0, odd_rows))
        x = F.conv2d(levels, self._first, self._first_bias, stride=2)
        x = F.prelu(x, self._first_slope)
        # What the last windows of the pooling see of the padding must not win.
        if odd_rows:
            x[:, 20:, -1, :] = -torch.inf
        x = torch.maximum(*x.chunk(2, dim=1))
        if odd_columns:
            x[:, 10:, :, -1] = -torch.inf
        x = torch.maximum(*x.chunk(2, dim=1))
        return _with_probability(self._head(self._rest(x)))


class RefineNetwork(nn.Module):
    """R-Net: judges patches of 24x24 pixels and corrects their edges."""

    patch = 24

    def __init__(self, weights: Arrays) -> None:
        super().__init__()
        self._trunk = nn.Sequential(
            *(nn.Conv2d(3, 28, 3), nn.PReLU(28), nn.MaxPool2d(3, 2, ceil_mode=True)),
            *(nn.Conv2d(28, 48, 3), nn.PReLU(48), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(48, 64, 2), nn.PReLU(64), nn.Flatten()),
            *(nn.Linear(576, 128), nn.PReLU(128)),
        )
        *trunk, boxes, boxes_bias, classes, classes_bias = weights
        _fill(self._trunk, trunk, normalised=True)
        self._head = nn.Linear(128, 5)
        _fill_head(self._head, [classes, boxes], [classes_bias, boxes_bias])

    def forward(self, patches: Tensor) -> Tensor:
        """(N, 3, 24, 24) to (N, 5): score and offsets, see :class:`ProposalNetwork`."""
        return _with_probability(self._head(self._trunk(patches)))


class OutputNetwork(nn.Module):
    """O-Net: judges patches of 48x48 pixels, corrects their edges and finds five points."""

    patch = 48

    def __init__(self, weights: Arrays) -> None:
        super().__init__()
        self._trunk = nn.Sequential(
            *(nn.Conv2d(3, 32, 3), nn.PReLU(32), nn.MaxPool2d(3, 2, ceil_mode=True)),
            *(nn.Conv2d(32, 64, 3), nn.PReLU(64), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 64, 3), nn.PReLU(64), nn.MaxPool2d(2, 2)),
            *(nn.Conv2d(64, 128, 2), nn.PReLU(128), nn.Flatten()),
            *(nn.Linear(1152, 256), nn.PReLU(256)),
        )
        *trunk, boxes, boxes_bias, points, points_bias, classes, classes_bias = weights
        _fill(self._trunk, trunk, normalised=True)
        self._head = nn.Linear(256, 15)
        _fill_head(self._head, [classes, boxes, points], [classes_bias, boxes_bias, points_bias])

    def forward(self, patches: Tensor) -> Tensor:
        """(N, 3, 48, 48) to (N, 15): score, offsets, five x and five y as shares of the patch."""
        return _with_probability(self._head(self._trunk(patches)))


def load_networks(
    weights: Sequence[Path],
) -> tuple[ProposalNetwork, RefineNetwork, OutputNetwork]:
    """The three networks in eval mode.

    Args:
        weights: ``pnet.lz4``, ``rnet.lz4`` and ``onet.lz4`` of the package ``mtcnn``.

    Raises:
        WeightsError: the files are not what they should be.
    """
    try:
        pnet, rnet, onet = map(read_weights, weights)
        proposal, refine, output = ProposalNetwork(pnet), RefineNetwork(rnet), OutputNetwork(onet)
    except (ValueError, RuntimeError, IndexError) as error:
        raise WeightsError(f"MTCNN's weights do not fit its networks: {one_line(error)}") from error
    return proposal.eval(), refine.eval(), output.eval()


def _with_probability(outputs: Tensor) -> Tensor:
    outputs[:, 0].sigmoid_()
    return outputs


def _kernel(array: NDArray[np.float32]) -> Tensor:
    """Keras' (height, width, in, out) as (out, in, height, width)."""
    return torch.tensor(array).permute(3, 2, 0, 1)


def _fold_normalisation(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    return weight * SCALE, bias - MEAN * SCALE * weight.sum((1, 2, 3))


def _fill(layers: nn.Sequential, arrays: Arrays, normalised: bool = False) -> None:
    """Copy Keras' arrays into layers of the same order.

    Args:
        layers: what to fill.
        arrays: weight, bias and slopes of each layer.
        normalised: the layers see grey levels as they are.
    """
    values = [_as_torch(array, layers) for array in arrays]
    if normalised:
        values[0], values[1] = _fold_normalisation(values[0], values[1])
    for parameter, value in zip(layers.parameters(), values, strict=True):
        if parameter.shape != value.shape:
            raise ValueError(f"{tuple(value.shape)} in place of {tuple(parameter.shape)}")
        parameter.data = _channels_last(value)


def _channels_last(value: Tensor) -> Tensor:
    """Kernels in the layout in which convolutions are faster here, and pooling ten times so."""
    if value.ndim == 4:
        return value.contiguous(memory_format=torch.channels_last)
    return value.contiguous()


def _as_torch(array: NDArray[np.float32], layers: nn.Sequential) -> Tensor:
    if array.ndim == 4:
        return _kernel(array)
    if array.ndim == 2:
        # The originals flatten (width, height, channels), torch (channels, height, width).
        channels = [layer.out_channels for layer in layers if isinstance(layer, nn.Conv2d)][-1]
        edge = round((len(array) / channels) ** 0.5)
        spatial = torch.tensor(array).reshape(edge, edge, channels, array.shape[1])
        return spatial.permute(3, 2, 1, 0).flatten(1)
    return torch.tensor(array).flatten()


def _fill_head(head: nn.Conv2d | nn.Linear, weights: Arrays, biases: Arrays) -> None:
    """One layer for all outputs; the first weights are those of the classes (no face, face)."""

    def join(arrays: Arrays) -> Tensor:
        classes, *others = (torch.tensor(array).flatten(0, -2).T for array in arrays)
        return torch.cat([classes[1:] - classes[:1], *others])

    with torch.no_grad():
        head.weight.data = _channels_last(join(weights).reshape(head.weight.shape))
        assert head.bias is not None
        head.bias.copy_(join([bias[None] for bias in biases]).flatten())
