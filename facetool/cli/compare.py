"""``facetool compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetool.cli import options
from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.cli.output import print_json
from facetool.cli.pytorch import import_pytorch
from facetool.embedding.choices import FLIPS
from facetool.errors import FacetoolError, UsageError

if TYPE_CHECKING:
    from facetool.pipeline.compare import ComparisonResult

_FAILED = 2
"""Exit code of ``--exit-code`` where there is no verdict."""


@click.command("compare")
@click.argument("images", nargs=-1, required=True, type=options.ANY_PATH, metavar="IMAGE IMAGE...")
@options.model_option
@options.weights_option
@options.pair_threshold_option
@options.select_option("compare")
@click.option(
    "--flip",
    type=click.Choice(FLIPS),
    default="none",
    show_default=True,
    help="Embed the mirrored face as well, and add (sum) or append (concat) its embedding.",
)
@detection_options
@options.device_option
@options.engine_option
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 0 for the same person, 1 for different people, 2 if a photo failed; with more "
    "than two photos, 0 if every pair is the same person.",
)
@options.json_option
def command(
    images: tuple[Path, ...],
    model: str | None,
    weights: options.WeightsRequest,
    threshold: float | None,
    select: str,
    flip: str,
    detection: DetectionRequest,
    device: str,
    engine: str,
    exit_code: bool,
    as_json: bool,
) -> int:
    """Compare the faces in photos.

    Takes two or more photos, which need not be aligned. For each pair it prints the squared L2
    distance, the cosine similarity and, if a threshold is known, "same" or "different".
    """
    if len(images) < 2:
        raise click.UsageError("give two photos or more")
    import_pytorch()
    from facetool.cli.tables.compare import comparison_text

    try:
        result = _compare(
            images, model, weights, threshold, select, flip, detection, device, engine
        )
        if exit_code and result.threshold is None:
            raise UsageError("--exit-code needs a verdict; give a threshold with --threshold X")
        if as_json:
            print_json(result.as_dict())
        elif result.comparisons:
            click.echo(comparison_text(result))
        else:
            raise FacetoolError("two photos with a face are needed to compare")
    except FacetoolError as error:
        if exit_code:
            error.exit_code = _FAILED
        raise
    except Exception as error:
        if not exit_code:
            raise
        # Whatever else ends a command, 1 would be taken for "different".
        failed = FacetoolError(str(error) or type(error).__name__)
        failed.exit_code = _FAILED
        raise failed from error
    if exit_code:
        return {True: 0, False: 1, None: _FAILED}[result.verdict]
    return result.report.exit_code


def _compare(
    images: Sequence[Path],
    model: str | None,
    weights: options.WeightsRequest,
    threshold: float | None,
    select: str,
    flip: str,
    detection: DetectionRequest,
    device: str,
    engine: str,
) -> ComparisonResult:
    from facetool.pipeline.compare import compare, known_threshold

    network = weights.load(model)
    settings = detection.settings(detection.detector or network.recipe.crop.detector)
    known = known_threshold(network, threshold, flip=flip)
    return compare(
        images,
        network,
        threshold=known,
        select=select,
        detector=detection.detector,
        device=device,
        detection=settings,
        flip=flip,
        engine=engine,
    )
