"""OpenVINO's IR, ``.xml`` with ``.bin`` beside it, which OpenVINO runs where it is installed."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.alignment.stated_recipe import PARTS
from facetool.errors import FormatError, WeightsError, one_line
from facetool.files.json_file import parse_json
from facetool.networks.engine import EngineNetwork
from facetool.networks.registry import stated_unit_length

RECIPE_KEY = "facetool"
"""Key in a model's runtime information of what the export says about it."""

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
        output = _embedding(path, model)
        compiled = core.compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        )
        run = _runner(compiled, output, lengths[0])
        network = EngineNetwork(run, (lengths[1], lengths[2], lengths[3]), "OpenVINO").eval()
        stated = model.get_rt_info([RECIPE_KEY]).value if model.has_rt_info([RECIPE_KEY]) else None
    except WeightsError:
        raise
    except Exception as error:  # the library has no classes of its own
        reason = one_line(error)
        raise FormatError(f"{path}: OpenVINO cannot read it: {reason}") from None
    info = network.info
    if stated is not None:
        description = parse_json(str(stated), f"{path}: what facetool says in it")
        try:
            recipe = Recipe.from_dict(description["recipe"])
        except (KeyError, TypeError) as error:
            raise FormatError(f"{path}: what facetool says in it is damaged: {error}") from None
        info = replace(info, recipe=recipe, unit_length=stated_unit_length(description))
    elif lengths[1:] == [3, ARCFACE_112.height, ARCFACE_112.width]:
        info = replace(info, recipe=Recipe(ARCFACE_112), assumed=PARTS)
    network.info = info
    return network


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


def _runner(compiled: Any, output: int, batch: int) -> Any:
    """A call that each thread makes with a request of its own."""
    requests = threading.local()

    def run(pixels: NDArray[np.float32]) -> NDArray[Any]:
        if not hasattr(requests, "own"):
            requests.own = compiled.create_infer_request()
        size = batch or len(pixels)
        results = []
        for start in range(0, len(pixels), size):
            part = pixels[start : start + size]
            filled = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), "f4")])
            requests.own.infer([filled])
            found = requests.own.get_output_tensor(output).data
            results.append(np.array(found[: len(part)], np.float32))
        return np.concatenate(results)

    return run
