"""OpenVINO's IR, ``.xml`` with ``.bin`` beside it, which OpenVINO runs where it is installed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.alignment.stated_recipe import PARTS
from facetool.errors import FacetoolError, FormatError, WeightsError, one_line
from facetool.networks.engine import OPENVINO, EngineLayer, EngineNetwork
from facetool.networks.openvino_model import (
    OpenVinoModel,
    precision_property,
    stream_properties,
)
from facetool.weights.download import digest
from facetool.weights.finite import check_constants_finite
from facetool.weights.readers.stated import read_description

RECIPE_KEY = "facetool"
"""Key in a model's runtime information of what the export says about it."""

BIN_SHA256 = "bin_sha256"
"""Key in that of the checksum of the weights beside it."""

_LARGEST_EDGE = 4096


def load(path: Path) -> EngineNetwork:
    """Read a network; the recipe that facetool's export wrote into it is the network's.

    Without one, ArcFace's crops are assumed where the input has their size: BGR 0…255, as the
    model zoo converts them, is what a file does not state, so RGB stays to be confirmed.

    Args:
        path: the ``.xml`` file.

    Raises:
        FormatError: the file is damaged.
        WeightsError: OpenVINO is not installed, or cannot run the file.
    """
    try:
        import openvino
    except ImportError:
        raise WeightsError(
            f"{path} is an OpenVINO network, which needs OpenVINO: pip install 'facetool[openvino]'"
        ) from None
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise WeightsError(f"{path}: its weights, {weights.name}, do not lie beside it")
    try:
        core = openvino.Core()
        model = core.read_model(str(path), str(weights))
        (given,) = model.inputs
        lengths = [n.get_length() if n.is_static else 0 for n in given.partial_shape]
        if len(lengths) != 4 or not all(0 < n <= _LARGEST_EDGE for n in lengths[1:]):
            raise WeightsError(f"{path}: an input of the shape {given.partial_shape}")
        text = model.get_rt_info([RECIPE_KEY]).value if model.has_rt_info([RECIPE_KEY]) else None
        stated, made_from = _stated(path, weights, text)
        output = _embedding(path, model)
        check_constants_finite(_floats(model), path)
        threads = torch.get_num_threads()
        run = OpenVinoModel(
            core,
            model,
            {**precision_property(core, "float32"), **stream_properties(threads, threads)},
            output=output,
            batch=lengths[0],
        )
        shape = (lengths[1], lengths[2], lengths[3])
        network = EngineNetwork(
            run, shape, OPENVINO, _layers(model), run.in_dtype, made_from
        ).eval()
    except FacetoolError:
        raise
    except Exception as error:  # the library has no classes of its own
        reason = one_line(error)
        raise FormatError(
            f"{path} or {weights.name} beside it is damaged; copy or write both again (OpenVINO: "
            f"{reason})"
        ) from None
    if "recipe" not in stated and lengths[1:] == [3, ARCFACE_112.height, ARCFACE_112.width]:
        stated = {**stated, "recipe": Recipe(ARCFACE_112), "assumed": PARTS}
    network.info = replace(network.info, **stated)
    return network


def _stated(path: Path, weights: Path, text: object) -> tuple[dict[str, Any], str]:
    """What a file says of itself, with its checksum, which covers both files, and its source.

    Raises:
        FormatError: that is damaged, or the weights are another file's.
    """
    described, numbers = digest(path), digest(weights)
    checksum = hashlib.sha256((described + numbers).encode()).hexdigest()
    if text is None:
        return {"weights_sha256": checksum}, ""
    try:
        stated, description = read_description(str(text))
    except WeightsError as error:
        raise FormatError(f"{path}: {error}") from None
    if description.get(BIN_SHA256, numbers) != numbers:
        raise FormatError(
            f"{path}: {weights.name} beside it belongs to another file or is damaged; copy or "
            "write both again"
        )
    source = description.get("source")
    made_from = str(source.get("name") or "") if isinstance(source, dict) else ""
    sha256 = described if BIN_SHA256 in description else checksum
    return {**stated._asdict(), "weights_sha256": sha256}, made_from


def _floats(model: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and numbers of the constants that NumPy has a floating-point type for."""
    kinds = ("f16", "f32", "f64")  # of bfloat16 OpenVINO gives the bits, as float16
    constants = [one for one in model.get_ops() if one.get_type_name() == "Constant"]
    for one in constants:
        if one.get_element_type().get_type_name() in kinds:
            yield one.get_friendly_name(), one.data


def _layers(model: Any) -> list[EngineLayer]:
    """All of them but the weights."""
    layers = []
    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        if kind not in ("Parameter", "Constant", "Result"):
            made = operation.output(0).partial_shape
            lengths = list(made)[1:] if made.rank.is_static else []
            shape = tuple(n.get_length() if n.is_static else 0 for n in lengths)
            layers.append(EngineLayer(operation.get_friendly_name(), kind, shape))
    return layers


def _embedding(path: Path, model: Any) -> int:
    """Position of the output that is one vector a face."""
    vectors = []
    for index, output in enumerate(model.outputs):
        shape = output.partial_shape
        if len(shape) == 2 and shape[1].is_static and shape[1].get_length() > 1:
            vectors.append(index)
    if len(vectors) != 1:
        raise WeightsError(f"{path}: {len(vectors)} of its outputs are one vector a face")
    return vectors[0]
