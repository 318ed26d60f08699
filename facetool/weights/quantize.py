"""8-bit networks: NNCF takes what OpenVINO reads apart and puts 8-bit steps in its place."""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.errors import UsageError, WeightsError, one_line
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.inputs import to_input
from facetool.weights.onnx_export import to_onnx
from facetool.weights.openvino_export import save_model

_CHEAP = 0.05
"""Part of the work below which the first convolution stays as it is."""


def quantize(network: EmbeddingNetwork, crops: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """Write a network whose convolutions and matrix products are of 8-bit integers.

    Weights have a scale for each channel, activations one for each layer, found on ``crops``.
    Depthwise convolutions stay as they are: OpenVINO runs them in floating point in any case, and
    to round before and after them takes a fifth of MobileFaceNet's time. So does the first
    convolution, which sees the pixels, where it is a small part of the work.

    Args:
        network: stays as it is.
        crops: uint8 RGB (H, W, 3), of the recipe's size; a few hundred of many people do.
        path: of the new ``.xml``; the weights go into the ``.bin`` beside it.

    Raises:
        UsageError: NNCF or OpenVINO is not installed.
        WeightsError: the network does something that ONNX has no operator for, or NNCF fails.
        OutputError: the files cannot be written.
    """
    nncf = _import_nncf()
    from openvino import Core

    model = Core().read_model(to_onnx(network, fold=True, lrn_operator=True))
    inputs = [
        to_input(torch.from_numpy(crop)[None], network.recipe).contiguous().numpy()
        for crop in crops
    ]
    with _quiet(nncf):
        try:
            model = nncf.quantize(
                model,
                nncf.Dataset(inputs),
                preset=nncf.QuantizationPreset.PERFORMANCE,
                subset_size=len(inputs),
                ignored_scope=nncf.IgnoredScope(names=_left_in_float(model)),
            )
        except Exception as error:  # the library has many classes of its own
            raise WeightsError(f"NNCF cannot quantise it: {one_line(error)}") from error
    facts = {"quantised": {"bits": 8, "crops": len(inputs), "by": f"nncf {version('nncf')}"}}
    save_model(model, network, path, recipe=network.recipe, facts=facts)


def _left_in_float(model: Any) -> list[str]:
    """Names of the convolutions that take each channel for itself, and of a cheap first one."""
    convolutions = [one for one in model.get_ordered_ops() if "Convolution" in one.get_type_name()]
    names = [one.get_friendly_name() for one in convolutions if _is_depthwise(one)]
    work = [_multiply_adds(one) for one in convolutions]
    if work and work[0] < _CHEAP * sum(work):
        names.append(convolutions[0].get_friendly_name())
    return names


def _is_depthwise(convolution: Any) -> bool:
    # The weights' shape: groups, and outputs and inputs of each.
    shape = list(convolution.input_value(1).shape)
    return convolution.get_type_name() == "GroupConvolution" and shape[1:3] == [1, 1]


def _multiply_adds(convolution: Any) -> int:
    """Of one image."""
    height, width = list(convolution.output(0).get_partial_shape())[2:]
    weights = math.prod(convolution.input_value(1).shape)
    return int(height.get_length() * width.get_length() * weights)


def _import_nncf() -> Any:
    """The library, whose reports of its use to its makers are switched off."""
    switch = "NNCF_CI"
    before = os.environ.get(switch)
    os.environ[switch] = before or "1"
    try:
        import nncf
        import openvino  # noqa: F401
    except ImportError:
        raise UsageError("this needs NNCF and OpenVINO: pip install 'facetool[quantize]'") from None
    finally:
        if before is None:
            del os.environ[switch]
    return nncf


@contextmanager
def _quiet(nncf: Any) -> Iterator[None]:
    """Keep the library's bars and remarks off the output."""
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(io.StringIO()):
        yield
