"""Reader for dlib's serialised face recognition network (``.dat``).

The layout is that of dlib's ``serialize.h``, ``float_details.h`` and ``dnn/*.h``. A network is
stored like its C++ type, from the loss inwards: first one version number per layer, from the
output down to the input, then the input layer, then every layer's record on the way back up.
Tags and skips have a version number and nothing else.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from facetool.files.dlib_reader import DlibReader
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.dlib_resnet import BATCH_NORM_EPS, RESIDUAL_BLOCKS, DlibResNet
from facetool.networks.registry import create

_BLOCK = ("tag", "con", "affine", "relu", "con", "affine")
LAYERS: tuple[str, ...] = (
    *("con", "affine", "relu", "max_pool"),
    *(
        kind
        for _, down in RESIDUAL_BLOCKS
        for kind in (*_BLOCK, *(("tag", "skip", "avg_pool") if down else ()), "add_prev", "relu")
    ),
    *("avg_pool_everything", "fc"),
)
"""The network's layers from input to output, as dlib counts them."""

_TYPES = {
    "con": "con_4",
    "affine": "affine_",
    "relu": "relu_",
    "max_pool": "max_pool_2",
    "avg_pool": "avg_pool_2",
    "avg_pool_everything": "avg_pool_2",
    "add_prev": "add_prev_",
    "fc": "fc_2",
}
_POOLS = {
    "max_pool": (3, 3, 2, 2, 0, 0),
    "avg_pool": (2, 2, 2, 2, 0, 0),
    "avg_pool_everything": (0, 0, 1, 1, 0, 0),
}
"""Window, stride and padding, rows before columns; a window of 0 is the whole image."""


def load(path: Path) -> EmbeddingNetwork:
    """Read ``dlib_face_recognition_resnet_model_v1.dat``.

    dlib keeps a scale and a shift per channel where batch normalisation stood in training and
    has dropped the statistics. They become the weight and bias of a batch normalisation that
    is a plain scale and shift in eval mode. So when these weights are trained further, leave
    batch normalisation in eval mode: batch statistics would not fit them.

    Args:
        path: the file.

    Returns:
        ``dlib-resnet``, in eval mode.

    Raises:
        FormatError: the file is damaged, or holds another network.
    """
    reader = DlibReader(path, "dlib's face recognition ResNet")
    with torch.device("meta"):
        network = create("dlib-resnet")
    assert isinstance(network, DlibResNet)
    network.load_state_dict(_read_state(reader, network), assign=True)
    return network.eval()


def _read_state(reader: DlibReader, network: DlibResNet) -> dict[str, Tensor]:
    """The network's tensors by their names in ``network``, which says what must be there."""
    _read_loss(reader)
    for number in range(len(LAYERS), 0, -1):
        version = 1 if LAYERS[number - 1] in ("tag", "skip") else 3 if number == 1 else 2
        reader.expect(f"version of layer {number}", reader.integer(), version)
    state = {"mean": _read_input(reader)}
    modules = network.named_modules()
    unread = ((name, conv) for name, conv in modules if isinstance(conv, nn.Conv2d))
    for number, kind in enumerate(LAYERS, start=1):
        if kind in ("tag", "skip"):
            continue
        reader.expect(f"type of layer {number}", reader.name(), _TYPES[kind])
        if kind == "con":
            name, conv = next(unread)
            state[f"{name}.weight"], bias = _read_con(reader, conv)
        elif kind == "affine":
            state |= _read_affine(reader, name.replace("conv", "bn"), bias)
        elif kind == "fc":
            state["fc.weight"] = _read_fc(reader, network.fc)
        elif kind in _POOLS:
            reader.expect(f"pool of layer {number}", reader.integers(6), _POOLS[kind])
        reader.skip_working_state()
        if number == 1:
            reader.expect("samples per input", reader.integer(), 1)
    if reader.remaining:
        raise reader.fail(f"{reader.remaining:,} bytes follow the network")
    return state


def _read_loss(reader: DlibReader) -> None:
    """The metric loss: margin and distance threshold, of use only to dlib's trainer."""
    reader.expect("version of the loss layer", reader.integer(), 1)
    reader.expect("loss", reader.name(), "loss_metric_2")
    for _ in range(2):
        reader.number()


def _read_input(reader: DlibReader) -> Tensor:
    """The channel means (3, 1, 1), followed by the rows and columns of a chip."""
    reader.expect("input layer", reader.name(), "input_rgb_image_sized")
    mean = torch.tensor([reader.number() for _ in range(3)]).reshape(3, 1, 1)
    reader.expect("chip size", reader.integers(2), (150, 150))
    return mean


def _read_con(reader: DlibReader, conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Filters (outputs, inputs, rows, columns) and bias (outputs)."""
    joined = reader.tensor()
    wanted = (conv.out_channels, *conv.kernel_size, *conv.stride, *map(int, conv.padding))
    reader.expect("filters, rows, columns, strides, padding", reader.integers(7), wanted)
    reader.expect("shape of the filters", reader.alias(), tuple(conv.weight.shape))
    reader.expect("shape of the biases", reader.alias(), (1, conv.out_channels, 1, 1))
    reader.skip_multipliers()
    weight, bias = reader.parameters([conv.weight.shape, (conv.out_channels,)], joined)
    return weight, bias


def _read_affine(reader: DlibReader, name: str, conv_bias: Tensor) -> dict[str, Tensor]:
    """Scale and shift as the batch normalisation ``name``, which also adds the bias before it."""
    joined = reader.tensor()
    shape = conv_bias.shape
    for what in ("scales", "shifts"):
        reader.expect(f"shape of the {what}", reader.alias(), (1, *shape, 1, 1))
    reader.expect("mode of the affine layer", reader.integer(), 0)
    scale, shift = reader.parameters([shape, shape], joined)
    return {
        f"{name}.weight": scale,
        f"{name}.bias": shift,
        f"{name}.running_mean": -conv_bias,
        f"{name}.running_var": torch.full(shape, 1 - BATCH_NORM_EPS),
        f"{name}.num_batches_tracked": torch.tensor(0),
    }


def _read_fc(reader: DlibReader, linear: nn.Linear) -> Tensor:
    """The weight (outputs, inputs) of the fully connected layer, stored transposed."""
    sizes = (linear.out_features, linear.in_features)
    reader.expect("outputs and inputs", reader.integers(2), sizes)
    joined = reader.tensor()
    reader.expect("shape of the weights", reader.alias(), (*sizes[::-1], 1, 1))
    reader.expect("shape of the biases", reader.alias(), (0, 0, 0, 0))
    reader.expect("bias mode", reader.integer(), 1)
    reader.skip_multipliers()
    (weight,) = reader.parameters([sizes[::-1]], joined)
    return weight.T.contiguous()
