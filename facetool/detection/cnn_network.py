"""dlib's face detection network, and the reader of its file ``mmod_human_face_detector.dat``.

Source: King, "Max-margin object detection", arXiv:1502.00046; the layers are those of dlib's
``dnn_mmod_face_detection_ex.cpp``. The file is one of ``loss_mmod``, whose record (version 1)
precedes the layers; how layers are stored, :mod:`facetool.weights.readers.dlib_dat` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from facetool.files.dlib_reader import DlibReader
from facetool.files.tensors import as_tensor
from facetool.files.text import reading
from facetool.weights.readers.foreign_formats import WEIGHTS_HEAD_BYTES, refuse_foreign

WINDOW = 80
"""Edge of a face in the network's pixels."""

STRIDE, FIRST = 8, 14
"""Pixels between neighbouring places of the output, and the pixel in the centre of the first."""

FIELD = 29
"""Pixels behind one place of the three strided layers: place i sees those from i * STRIDE on."""

REACH = 10
"""Places beside one that its score depends on, of those behind the three strided layers."""

_SAMPLED = ((3, 16), (16, 32), (32, 32))
"""Inputs and outputs of the layers of stride 2, which are not padded."""

_REFINED = ((32, 45), (45, 45), (45, 45))
"""And of those of stride 1, padded to keep the size."""


class CnnNetwork(nn.Module):
    """One score for every place of an image: above 0 a face is centred there.

    Input RGB, ``(x - mean) / 256``, float32 (N, 3, H, W); output float32 (N, 1, h, w).
    """

    def __init__(self) -> None:
        super().__init__()
        sampled = [nn.Conv2d(inputs, outputs, 5, stride=2) for inputs, outputs in _SAMPLED]
        refined = [nn.Conv2d(inputs, outputs, 5, padding=2) for inputs, outputs in _REFINED]
        layers = [part for conv in sampled + refined for part in (conv, nn.ReLU(inplace=True))]
        self.layers = nn.Sequential(*layers, nn.Conv2d(45, 1, 9, padding=4))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 1, h, w)."""
        scores: Tensor = self.layers(x)
        return scores


@dataclass(frozen=True, kw_only=True)
class CnnModel:
    """What the file holds.

    Attributes:
        network: in eval mode, batch normalisation folded in.
        mean: float32 (3, 1, 1), RGB.
        overlap: share of the union above which the worse of two boxes goes.
        covered: share of either box above which it goes.
    """

    network: CnnNetwork
    mean: Tensor
    overlap: float
    covered: float


def load_model(path: Path) -> CnnModel:
    """Read dlib's face detection network.

    Args:
        path: ``mmod_human_face_detector.dat``.

    Raises:
        FormatError: the file is damaged, or holds another network.
    """
    with reading(path), path.open("rb") as file:
        refuse_foreign(path, file.read(WEIGHTS_HEAD_BYTES))
    reader = DlibReader(path, "dlib's face detection network")
    overlap, covered = _read_loss(reader)
    with torch.device("meta"):
        network = CnnNetwork()
    convs = [layer for layer in network.layers if isinstance(layer, nn.Conv2d)]
    count = 3 * len(convs) - 2
    for number in range(count, 0, -1):
        reader.expect(f"version of layer {number}", reader.integer(), 3 if number == 1 else 2)
    reader.expect("input layer", reader.name(), "input_rgb_image_pyramid")
    mean = torch.tensor([reader.number() for _ in range(3)]).reshape(3, 1, 1)
    for conv in convs:
        weight, bias = _read_con(reader, conv)
        if conv is convs[0]:
            reader.expect("samples per input", reader.integer(), 1)
        if conv is not convs[-1]:
            scale, shift = _read_normalisation(reader, conv.out_channels)
            weight, bias = weight * scale[:, None, None, None], bias * scale + shift
            reader.expect("activation", reader.name(), "relu_")
            reader.skip_working_state()
        conv.weight = nn.Parameter(weight, requires_grad=False)
        conv.bias = nn.Parameter(bias, requires_grad=False)
    if reader.remaining:
        raise reader.fail(f"{reader.remaining:,} bytes follow the network")
    return CnnModel(network=network.eval(), mean=mean, overlap=overlap, covered=covered)


def _read_loss(reader: DlibReader) -> tuple[float, float]:
    """The overlaps of non-maximum suppression; the rest is of use only to dlib's trainer."""
    reader.expect("version of the loss layer", reader.integer(), 1)
    reader.expect("loss", reader.name(), "loss_mmod_")
    reader.expect("version of its options", reader.integer(), 1)
    reader.expect("window", reader.integers(2), (WINDOW, WINDOW))
    for _ in range(3):
        reader.number()
    overlap, covered = reader.number(), reader.number()
    for _ in range(2):
        reader.number()
    return overlap, covered


def _read_con(reader: DlibReader, conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Filters (outputs, inputs, rows, columns) and bias (outputs)."""
    reader.expect("type of layer", reader.name(), "con_4")
    joined = reader.tensor()
    wanted = (conv.out_channels, *conv.kernel_size, *conv.stride, *map(int, conv.padding))
    reader.expect("filters, rows, columns, strides, padding", reader.integers(7), wanted)
    reader.expect("shape of the filters", reader.alias(), tuple(conv.weight.shape))
    reader.expect("shape of the biases", reader.alias(), (1, conv.out_channels, 1, 1))
    reader.skip_multipliers()
    weight, bias = reader.parameters([tuple(conv.weight.shape), (conv.out_channels,)], joined)
    reader.skip_working_state()
    return weight, bias


def _read_normalisation(reader: DlibReader, channels: int) -> tuple[Tensor, Tensor]:
    """Batch normalisation by its running statistics, as a scale and a shift per channel."""
    reader.expect("type of layer", reader.name(), "bn_con2")
    joined = reader.tensor()
    for what in ("scales", "shifts"):
        reader.expect(f"shape of the {what}", reader.alias(), (1, channels, 1, 1))
    gamma, beta = reader.parameters([(channels,), (channels,)], joined)
    for _ in range(2):  # of the last batch in training
        reader.tensor()
    statistics = []
    for what in ("running means", "running variances"):
        values = reader.tensor()
        reader.expect(f"number of {what}", len(values), channels)
        statistics.append(as_tensor(values))
    reader.integers(2)  # updates of the statistics, and over how many they run
    reader.skip_multipliers()
    mean, variance = statistics
    scale = gamma / torch.sqrt(variance + reader.number())
    reader.skip_working_state()
    return scale, beta - mean * scale
