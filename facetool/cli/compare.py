"""``facetool compare``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.detection.options import SELECTIONS


@click.command("compare")
@click.argument(
    "images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE IMAGE..."
)
@options.model_option
@options.weights_option
@click.option(
    "--threshold",
    type=float,
    metavar="X",
    help="Squared L2 below which two faces are one person's, instead of the network's own.",
)
@click.option(
    "--select",
    type=click.Choice(SELECTIONS),
    default="largest",
    show_default=True,
    help="Which faces of a photo take part.",
)
@detection_options
@options.device_option
@options.json_option
def command(
    images: tuple[Path, ...],
    model: str | None,
    weights: Path | None,
    threshold: float | None,
    select: str,
    detection: DetectionRequest,
    device: str,
    as_json: bool,
) -> int:
    """Say how alike the faces in photos are.

    Takes two or more photos as they are. For each pair prints squared L2 distance, cosine and,
    where a threshold is known, same or different.
    """
    from facetool.cli.tables.compare import comparison_text
    from facetool.embedding.embedder import resolve_device
    from facetool.pipeline.compare import compare, known_threshold
    from facetool.weights.load import load_network

    if len(images) < 2:
        raise click.UsageError("give two photos or more")
    where = resolve_device(device)
    network = load_network(model, weights)
    settings = detection.settings(detection.detector or network.recipe.crop.detector)
    result = compare(
        images,
        network,
        known_threshold(network, threshold),
        select,
        detection.detector,
        where,
        settings,
    )
    click.echo(json.dumps(result.as_dict(), indent=2) if as_json else comparison_text(result))
    return result.report.exit_code
