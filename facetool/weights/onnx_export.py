"""Writes a network as ONNX, by listening to the functions it calls on one batch.

Every call of a PyTorch function becomes one or two ONNX nodes, so that the file is as plain as
the network: no computed shapes, any batch size, weights as initialisers. It takes the ``onnx``
package only.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import BinaryIO

import onnx
import torch
from onnx import TensorProto, helper
from torch.func import functional_call

from facetool._version import __version__
from facetool.files.atomic import atomic_write
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.engine import check_has_weights
from facetool.networks.fold import fold_batch_norm
from facetool.weights.onnx_functions import HANDLERS
from facetool.weights.onnx_recorder import ONNX_INPUT, RECORDED_BATCH, OnnxRecorder

OPSET = 17
ONNX_OUTPUT = "embedding"
_IR_VERSION = 8  # the one of opset 17


def is_own(file: BinaryIO) -> bool:
    """Whether a file is one of :func:`export_onnx`, by the first fields of the model."""
    return b"\x12\x08facetool" in file.read(64)


def export_onnx(network: EmbeddingNetwork, path: Path, *, fold: bool = False) -> None:
    """Write an ONNX file, whole or not at all.

    The input ``data`` is float32 (batch, C, H, W) made as the recipe says, the output
    ``embedding`` (batch, D). The description stands in the metadata under ``facetool``.

    Args:
        network: stays as it is.
        path: of the new file.
        fold: put batch normalisation into the layers before it, where possible.

    Raises:
        WeightsError: the network does something that is not known here.
        OutputError: the file cannot be written.
    """
    contents = to_onnx(network, fold=fold)
    with atomic_write(path) as file:
        file.write(contents)


def to_onnx(network: EmbeddingNetwork, *, fold: bool = False, lrn_operator: bool = False) -> bytes:
    """What :func:`export_onnx` writes.

    Args:
        network: stays as it is.
        fold: put batch normalisation into the layers before it, where possible.
        lrn_operator: write local response normalisation as the one operator that ONNX has for
            it, which OpenVINO runs fast. ONNX Runtime takes longer for it than for nn4.small2's
            convolutions together, so by default it becomes a convolution and roots.

    Raises:
        WeightsError: the network does something that is not known here.
    """
    check_has_weights(network)
    running = fold_batch_norm(network) if fold else network
    if running.training:
        running = deepcopy(running).eval()
    size = network.info.embedding_size
    graph = _record(running, network.recipe.shape, size, lrn_operator)
    model = helper.make_model(
        graph,
        producer_name="facetool",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
    )
    description = {
        **network.info.as_dict(),
        "weights": network.info.weights_name,
    }
    del description["options"]  # the graph says how the network is built
    helper.set_model_props(model, {"facetool": json.dumps(description)})
    contents: bytes = model.SerializeToString()
    return contents


def _record(
    network: EmbeddingNetwork, shape: tuple[int, int, int], embedding_size: int, lrn_operator: bool
) -> onnx.GraphProto:
    """The graph of one forward pass, which is made without memory."""
    weights = network.state_dict()
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in weights.items()}
    x = torch.empty(RECORDED_BATCH, *shape, device="meta")
    recorder = OnnxRecorder(weights, shapes, x, HANDLERS, lrn_operator)
    with torch.no_grad(), recorder:
        y = functional_call(network, shapes, (x,))
    recorder.emit("Identity", [recorder.name(y)], result=ONNX_OUTPUT)
    return helper.make_graph(
        recorder.nodes,
        network.info.architecture,
        [helper.make_tensor_value_info(ONNX_INPUT, TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info(ONNX_OUTPUT, TensorProto.FLOAT, ["batch", embedding_size])],
        recorder.initialisers,
    )
