"""``models quantize``: a network becomes one of 8-bit integers, and is compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from facetool.embedding.crop_check import check_crops
from facetool.embedding.crop_loader import CropBatch, load_crops
from facetool.embedding.embedder import Embedder
from facetool.errors import UsageError
from facetool.files.text import counted
from facetool.images.inputs import open_images
from facetool.jobs.pool import available_cores
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.engine import check_has_weights
from facetool.weights.load import load_network, read_network
from facetool.weights.openvino_export import check_target
from facetool.weights.quantize import quantize

if TYPE_CHECKING:
    from facetool.alignment.stated_recipe import StatedRecipe

_MOST, _FEWEST = 300, 16
"""Crops to calibrate on: more change nothing, fewer miss what activations can be."""


@dataclass(frozen=True, kw_only=True)
class QuantizedNetwork:
    """A quantised network beside the one it was made from.

    Attributes:
        path: the ``.xml`` file.
        crops: faces that it was calibrated on.
        cosine: between the two networks' embeddings of each of them, on average.
        lowest_cosine: of the face they disagree on most.
        report: crops that could not be read.
    """

    path: Path
    crops: int
    cosine: float
    lowest_cosine: float
    report: Report

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "file": str(self.path),
            "crops": self.crops,
            "cosine": {"mean": self.cosine, "lowest": self.lowest_cosine},
            "failed": self.report.failed_images(),
        }


def quantize_network(
    name: str,
    target: Path | None = None,
    weights: Path | None = None,
    *,
    calibrate: Path,
    recipe: StatedRecipe | None = None,
    output: str = "",
) -> QuantizedNetwork:
    """Write a network as an 8-bit one that OpenVINO runs, and measure how alike they are.

    Args:
        name: catalogue or architecture name, or a weights file.
        target: new file, ``.xml``; the weights go into the ``.bin`` beside it. Default: the
            weights' name with ``.int8.xml``, in the current folder.
        weights: file to take the weights from instead of the published ones.
        calibrate: folder or ``.rec`` file of the network's crops, of which up to 300 are taken,
            spread over all of them.
        recipe: what is known of the input, in place of what the file states.
        output: the layer whose values are the embedding, where that is not the last.

    Raises:
        UsageError: ``target`` is called something else, is an input, or is there and no network of
            facetool's; NNCF or OpenVINO is not installed; there are too few crops, or none of the
            network's.
        FacetoolError: the network cannot be loaded, quantised or written.
    """
    source = weights or Path(name)
    if target is not None:
        check_target(target, source)
    network = load_network(name, weights, recipe=recipe, output=output)
    if target is None:
        target = Path(f"{network.info.weights_name}.int8.xml")
        check_target(target, source)
    check_has_weights(network)
    report = Report()
    crops = _load(calibrate, network, report)
    if len(crops) < _FEWEST:
        raise UsageError(
            f"{calibrate} holds {counted(len(crops), 'crop')}; to calibrate takes {_FEWEST} at "
            "least, and some hundreds of many people are better"
        )
    quantize(network, crops, target)
    embeddings = [
        Embedder(one, torch.device("cpu")).embed_all(crops)
        for one in (network, read_network(target))
    ]
    ours, theirs = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in embeddings)
    cosines = (ours * theirs).sum(axis=1)
    report.done("calibrated on", len(crops))
    return QuantizedNetwork(
        path=target,
        crops=len(crops),
        cosine=float(cosines.mean()),
        lowest_cosine=float(cosines.min()),
        report=report,
    )


def _load(folder: Path, network: EmbeddingNetwork, report: Report) -> Any:
    """Some of a folder's crops, uint8 RGB (N, H, W, 3)."""
    images = open_images(folder)
    check_crops(images, network)
    count = min(len(images.names), _MOST)
    names = [images.names[number * len(images.names) // count] for number in range(count)]
    batches: list[CropBatch] = list(
        load_crops(images.read, [names], network.recipe.crop, available_cores())
    )
    for batch in batches:
        for failure in batch.failures:
            report.failed(*failure)
    return np.concatenate([batch.crops for batch in batches]) if names else np.empty(0, np.uint8)
