"""8-bit networks: NNCF takes what OpenVINO reads apart and puts 8-bit steps in its place."""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
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
from facetool.weights.openvino_export import new_files, save_model

_SMOOTHING = 0.5
"""Part of the channels' differences that weights take over from activations: as published."""

_KINDS = ("Convolution", "GroupConvolution", "MatMul")
"""Layers that 8 bits make faster."""

_CHEAP = 0.1
"""Part of the work below which the first and the last layer stay as they are."""


def quantize(network: EmbeddingNetwork, crops: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """Write a network whose convolutions and matrix products are of 8-bit integers.

    Weights have a scale for each channel; activations have a scale and an offset for each layer,
    into which all of the crops' values fit, so that an unusual face is not cut to a usual one.
    Weights fill half of their range: processors without VNNI add products of 8 bits in 16, which
    overflow otherwise. So a file gives the same embeddings on every x86 processor. Channels are
    brought to alike ranges first (SmoothQuant, https://arxiv.org/abs/2211.10438), which makes up
    for that.

    Depthwise convolutions stay as they are: OpenVINO runs them in floating point in any case, and
    to round before and after them takes a fifth of MobileFaceNet's time. So do the first layer,
    which sees the pixels, and the last one, which makes the embedding, where they are a small part
    of the work.

    Args:
        network: stays as it is.
        crops: uint8 RGB (H, W, 3), of the recipe's size; a few hundred of many people do.
        path: of the new ``.xml``; the weights go into the ``.bin`` beside it.

    Raises:
        UsageError: NNCF or OpenVINO is not installed.
        WeightsError: the network does something that ONNX has no operator for, or NNCF fails.
        OutputError: the files cannot be written; at once where the folder cannot.
    """
    nncf = _import_nncf()
    with new_files(path) as made:
        model = _in_8_bits(nncf, network, crops)
        facts: dict[str, Any] = {
            "quantised": {"bits": 8, "crops": len(crops), "by": f"nncf {version('nncf')}"}
        }
        if (threshold := network.info.threshold) is not None:
            measured = replace(threshold, data_set=f"{threshold.data_set}, before quantisation")
            facts["threshold"] = measured.as_dict()
        save_model(model, network, made, recipe=network.recipe, facts=facts)


def _in_8_bits(nncf: Any, network: EmbeddingNetwork, crops: Sequence[NDArray[np.uint8]]) -> Any:
    from openvino import Core

    model = Core().read_model(to_onnx(network, fold=True, lrn_operator=True))
    inputs = [
        to_input(torch.from_numpy(crop)[None], network.recipe).contiguous().numpy()
        for crop in crops
    ]
    widest = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    with _quiet(nncf):
        try:
            return nncf.quantize(
                model,
                nncf.Dataset(inputs),
                preset=nncf.QuantizationPreset.MIXED,
                model_type=nncf.ModelType.TRANSFORMER,  # smooths no other's channels
                subset_size=len(inputs),
                ignored_scope=nncf.IgnoredScope(names=_left_in_float(model)),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    overflow_fix=nncf.OverflowFix.ENABLE,
                    activations_range_estimator_params=widest,
                    smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(
                        convolution=_SMOOTHING, matmul=_SMOOTHING
                    ),
                    # It brings PReLU's networks nearer, and takes dlib's twice as far away.
                    disable_bias_correction=True,
                ),
            )
        except Exception as error:  # the library has many classes of its own
            raise WeightsError(f"NNCF cannot quantise it: {one_line(error)}") from error


def _left_in_float(model: Any) -> list[str]:
    """Names of the convolutions that take each channel for itself, and of cheap ends."""
    layers = [one for one in model.get_ordered_ops() if _has_weights(one)]
    work = [_multiply_adds(one) for one in layers]
    cheap = [index for index in (0, -1) if layers and work[index] < _CHEAP * sum(work)]
    left = [one for one in layers if _is_depthwise(one)] + [layers[index] for index in cheap]
    return [one.get_friendly_name() for one in left]


def _has_weights(layer: Any) -> bool:
    # A transformer's products of two activations are for any number of images.
    return layer.get_type_name() in _KINDS and layer.input_value(1).get_partial_shape().is_static


def _is_depthwise(layer: Any) -> bool:
    # The weights' shape: groups, and outputs and inputs of each.
    shape = list(layer.input_value(1).shape)
    return layer.get_type_name() == "GroupConvolution" and shape[1:3] == [1, 1]


def _multiply_adds(layer: Any) -> int:
    """Of one image."""
    made = list(layer.output(0).get_partial_shape())
    places = made[1:-1] if layer.get_type_name() == "MatMul" else made[2:]
    times = math.prod(length.get_length() for length in places)
    return int(times * math.prod(layer.input_value(1).shape))


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
