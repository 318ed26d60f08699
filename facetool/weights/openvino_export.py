"""Writes a network as OpenVINO's IR, as Open Model Zoo's pages describe theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from facetool.alignment.recipes import PerChannel, Recipe
from facetool.errors import UsageError
from facetool.files.atomic import output_errors, part_path
from facetool.files.durable import sync_file, sync_folder
from facetool.files.lock import sole_writer
from facetool.networks.base import EmbeddingNetwork
from facetool.weights.download import digest
from facetool.weights.onnx_export import to_onnx
from facetool.weights.readers.openvino_ir import BIN_SHA256, RECIPE_KEY

OUTPUT = "fc1"


def export_openvino(
    network: EmbeddingNetwork, path: Path, *, fold: bool, bgr: bool = False, half: bool = False
) -> None:
    """Write a network as it is.

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
        from openvino import Core, Layout
        from openvino.preprocess import PrePostProcessor
    except ImportError:
        raise UsageError("this needs OpenVINO: pip install 'facetool[openvino]'") from None
    model = Core().read_model(to_onnx(network, fold=fold))
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
    save_model(model, network, path, recipe=recipe, half=half)


def save_model(
    model: Any,
    network: EmbeddingNetwork,
    path: Path,
    *,
    recipe: Recipe,
    half: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write ``path`` and the ``.bin`` beside it; the ``.xml`` comes last and knows the other.

    Args:
        model: OpenVINO's, with one output; gets a description.
        network: that it was made from.
        path: of the new ``.xml``.
        recipe: of the model's input.
        half: store the weights as float16.
        facts: JSON values that say more about the model.

    Raises:
        OutputError: the files cannot be written.
    """
    import openvino

    model.output().get_tensor().set_names({OUTPUT})
    description: dict[str, Any] = {
        **network.info.as_dict(),
        "recipe": recipe.as_dict(),
        "source": {"name": network.info.weights_name, "sha256": network.info.weights_sha256},
        **(facts or {}),
    }
    del description["options"]
    weights = path.with_suffix(".bin")
    with output_errors(path):
        folder = part_path(path)
        with sole_writer(folder):  # what a killed run left there is written over
            made = folder / path.name
            openvino.save_model(model, str(made), compress_to_fp16=half)
            description[BIN_SHA256] = digest(made.with_suffix(".bin"))
            model.set_rt_info(json.dumps(description), [RECIPE_KEY])
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
