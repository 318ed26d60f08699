"""Writes a network as OpenVINO's IR, as Open Model Zoo's pages describe theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any, BinaryIO

from facetool.alignment.recipes import PerChannel, Recipe
from facetool.errors import OutputError, UsageError, one_line
from facetool.files.atomic import output_errors, part_path
from facetool.files.durable import sync_file, sync_folder
from facetool.files.lock import sole_writer
from facetool.files.output_file import check_output
from facetool.networks.base import EmbeddingNetwork
from facetool.weights.download import digest
from facetool.weights.onnx_export import to_onnx
from facetool.weights.readers.openvino_ir import BIN_SHA256, RECIPE_KEY

OUTPUT = "fc1"
_LARGEST_XML = 64 << 20


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
    with new_files(path) as made:
        save_model(model, network, made, recipe=recipe, half=half)


def check_target(path: Path, source: Path) -> None:
    """Refuse a name before anything takes its time.

    Args:
        path: of the new ``.xml``, beside which the ``.bin`` will lie.
        source: the network's file, if it is one.

    Raises:
        UsageError: it is called something else, or one of the two files is there and not one that
            facetool wrote, or the network's own.
    """
    if path.suffix.lower() != ".xml":
        raise UsageError(f"{path}: the new file is OpenVINO's, so call it *.xml")
    check_output(path, "network of facetool's", _is_own, inputs=[source])
    # A run that was killed between the two may have left the .bin, with this folder.
    earlier = path.is_file() or part_path(path).is_dir()
    numbers = path.with_suffix(".bin")
    check_output(numbers, f"part of {path.name}", lambda _: earlier, inputs=[source])


def _is_own(file: BinaryIO) -> bool:
    """Whether an ``.xml`` has facetool's description; the largest has some megabytes."""
    return f"<{RECIPE_KEY} value=".encode() in file.read(_LARGEST_XML)


@contextmanager
def new_files(path: Path) -> Iterator[Path]:
    """A path to write instead of ``path`` and its ``.bin``, which appear together at the end.

    Raises:
        OutputError: they cannot be written; at once where the folder cannot.
        UsageError: another process writes them.
    """
    with output_errors(path):
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder")
        folder = part_path(path)
        folder.mkdir(parents=True, exist_ok=True)  # here the message names path
        with sole_writer(folder):  # what a killed run left there is written over
            try:
                made = folder / f"{path.stem}.xml"  # OpenVINO takes no .XML
                yield made
                # The .xml comes last and knows the other.
                for part, whole in (
                    (made.with_suffix(".bin"), path.with_suffix(".bin")),
                    (made, path),
                ):
                    sync_file(part)
                    part.replace(whole)
            finally:
                rmtree(folder, ignore_errors=True)
        sync_folder(path.parent)


def save_model(
    model: Any,
    network: EmbeddingNetwork,
    path: Path,
    *,
    recipe: Recipe,
    half: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write ``path`` and the ``.bin`` beside it, which ``path`` knows.

    Args:
        model: OpenVINO's, with one output; gets a description.
        network: that it was made from.
        path: of :func:`new_files`.
        recipe: of the model's input.
        half: store the weights as float16.
        facts: JSON values that say more about the model, or something else.

    Raises:
        OSError: they cannot be written.
    """
    model.output().get_tensor().set_names({OUTPUT})
    description: dict[str, Any] = {
        **network.info.as_dict(),
        "recipe": recipe.as_dict(),
        "source": {"name": network.info.weights_name, "sha256": network.info.weights_sha256},
        **(facts or {}),
    }
    del description["options"]
    _write(model, path, half)
    description[BIN_SHA256] = digest(path.with_suffix(".bin"))
    model.set_rt_info(json.dumps(description), [RECIPE_KEY])
    _write(model, path, half)


def _write(model: Any, path: Path, half: bool) -> None:
    import openvino

    try:
        openvino.save_model(model, str(path), compress_to_fp16=half)
    except RuntimeError as error:
        raise OSError(f"is the disk full? OpenVINO says: {one_line(error)}") from error


def _swapped(recipe: Recipe) -> Recipe:
    """The recipe for blue first."""

    def reverse(value: PerChannel) -> PerChannel:
        return value[::-1] if isinstance(value, tuple) else value

    return replace(recipe, channels="BGR", mean=reverse(recipe.mean), scale=reverse(recipe.scale))
