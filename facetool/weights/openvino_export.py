"""Writes a network as OpenVINO's IR, as Open Model Zoo's pages describe theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from facetool.alignment.recipes import PerChannel, Recipe
from facetool.errors import UsageError
from facetool.files.atomic import output_errors, part_path
from facetool.files.durable import sync_file, sync_folder
from facetool.files.lock import sole_writer
from facetool.networks.base import EmbeddingNetwork
from facetool.weights.onnx_export import to_onnx
from facetool.weights.readers.openvino_ir import RECIPE_KEY

OUTPUT = "fc1"


def export_openvino(
    network: EmbeddingNetwork, path: Path, *, fold: bool, bgr: bool = False, half: bool = False
) -> None:
    """Write ``path`` and the ``.bin`` beside it; the ``.xml`` comes last.

    Args:
        network: stays as it is.
        path: of the new ``.xml``.
        fold: put batch normalisation into the layers before it.
        bgr: the file takes blue first, as the model zoo's does.
        half: store the weights as float16.

    Raises:
        UsageError: OpenVINO is not installed, or the input is gray.
        WeightsError: the network does something that ONNX has no operator for.
        OutputError: the files cannot be written.
    """
    try:
        import openvino
        from openvino import Layout
        from openvino.preprocess import PrePostProcessor
    except ImportError:
        raise UsageError("this needs OpenVINO: pip install 'facetool[openvino]'") from None
    model = openvino.Core().read_model(to_onnx(network, fold=fold))
    recipe = network.recipe
    if bgr:
        if recipe.channels == "gray":
            raise UsageError(f"{network.info.architecture} takes gray crops, which have no order")
        steps = PrePostProcessor(model)
        steps.input().tensor().set_layout(Layout("NCHW"))
        steps.input().model().set_layout(Layout("NCHW"))
        if recipe.channels == "RGB":
            steps.input().preprocess().reverse_channels()
            recipe = _swapped(recipe)
        model = steps.build()
    model.output().get_tensor().set_names({OUTPUT})
    description = {**network.info.as_dict(), "recipe": recipe.as_dict()}
    del description["options"]
    model.set_rt_info(json.dumps(description), [RECIPE_KEY])
    weights = path.with_suffix(".bin")
    with output_errors(path):
        folder = part_path(path)
        with sole_writer(folder):  # what a killed run left there is written over
            made = folder / path.name
            openvino.save_model(model, str(made), compress_to_fp16=half)
            for suffix in (".bin", path.suffix):
                sync_file(made.with_suffix(suffix))
            made.with_suffix(".bin").replace(weights)
            made.replace(path)
        folder.rmdir()
        sync_folder(path.parent)


def _swapped(recipe: Recipe) -> Recipe:
    """The recipe for blue first."""

    def reverse(value: PerChannel) -> PerChannel:
        return value[::-1] if isinstance(value, tuple) else value

    return replace(recipe, channels="BGR", mean=reverse(recipe.mean), scale=reverse(recipe.scale))
