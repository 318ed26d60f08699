"""Quantised ONNX files, which ONNX Runtime runs where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from facetool.errors import WeightsError, one_line
from facetool.networks.engine import ONNX_RUNTIME, EngineLayer, EngineNetwork
from facetool.weights.readers.onnx.shapes import channels_last

if TYPE_CHECKING:
    from onnx import GraphProto

FLOAT_FILE = "arcfaceresnet100-8.onnx"
_PREFIXES = ("QLinear", "QGemm", "DynamicQuantize", "Quantize", "Dequantize")


def quantised_by(graph: GraphProto) -> str:
    """The operation that shows that a network is quantised, or nothing."""
    for node in graph.node:
        operation = str(node.op_type)  # bytes where the name is damaged
        if operation.startswith(_PREFIXES) or operation.endswith("Integer"):
            return operation
    return ""


def refuse_quantised(graph: GraphProto) -> None:
    """Refuse quantised detectors.

    Raises:
        WeightsError: the network is quantised.
    """
    if operation := quantised_by(graph):
        raise WeightsError(f"a quantised network ({operation}), which is not run")


def load_quantised(
    path: Path, graph: GraphProto, operation: str, output: str, size: tuple[int, int]
) -> EngineNetwork:
    """A network that ONNX Runtime runs.

    Args:
        path: the ``.onnx`` file, with its weights inside.
        graph: of the file.
        operation: what shows that it is quantised, for messages.
        output: name of the output that is the embedding.
        size: height and width of the input, where the file fixes none.

    Raises:
        WeightsError: ONNX Runtime is not installed, or cannot run the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise WeightsError(
            f"a quantised network ({operation}), which only ONNX Runtime runs: pip install "
            f"'facetool[onnxruntime]', or take the float32 file instead, such as {FLOAT_FILE}"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # batches run side by side, each in a thread of its own
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        (given,) = session.get_inputs()
        lengths = [length if isinstance(length, int) else 0 for length in given.shape]
        turned = channels_last(lengths)
        one = lengths[:1] == [1]

        def run(inputs: Tensor) -> Tensor:
            pixels = (inputs.permute(0, 2, 3, 1) if turned else inputs).contiguous().numpy()
            parts = np.split(pixels, len(pixels)) if one else [pixels]
            found = [session.run([output], {given.name: part})[0] for part in parts]
            return torch.from_numpy(np.concatenate(found)).float()

        places = (1, 2) if turned else (2, 3)
        height, width = (lengths[axis] or n for axis, n in zip(places, size, strict=True))
        channels = lengths[3 if turned else 1] or 3
        layers = [EngineLayer(", ".join(node.output), str(node.op_type)) for node in graph.node]
        return EngineNetwork(run, (channels, height, width), ONNX_RUNTIME, layers).eval()
    except WeightsError:
        raise
    except Exception as error:  # the library has many classes of its own
        reason = one_line(error)
        raise WeightsError(f"ONNX Runtime cannot run it: {reason}") from None
