"""``facetool search``."""

from __future__ import annotations

from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.completion import complete_model
from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.cli.output import print_json
from facetool.cli.pytorch import import_pytorch
from facetool.detection.options import ONE_FACE
from facetool.pipeline.choices import DEFAULT_TOP


@click.command("search")
@click.argument("reps", type=options.EXISTING_FOLDER)
@click.argument("photos", nargs=-1, required=True, type=options.ANY_PATH, metavar="PHOTO...")
@click.option(
    "--in",
    "more",
    type=options.EXISTING_FOLDER,
    multiple=True,
    metavar="REPS",
    help="Another represent folder to search; may be repeated.",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    default=DEFAULT_TOP,
    show_default=True,
    metavar="K",
    help="Number of faces to list.",
)
@click.option(
    "--threshold",
    type=options.Number(0, min_open=True),
    metavar="X",
    help="List only faces at a squared L2 distance below this.",
)
@click.option(
    "--index",
    is_flag=True,
    help="Look by an index beside the embeddings, built when needed, instead of comparing all: "
    "quicker among millions, and may miss some.",
)
@options.select_option("search for", ONE_FACE)
@click.option(
    "--model",
    metavar="NAME",
    shell_complete=complete_model,
    help="Network that made REPS, as ARCH or ARCH.TAG, where the folder does not say it; see "
    "'facetool models list'.",
)
@options.weights_option
@detection_options
@options.device_option
@options.engine_option
@options.html_option("the photos and the faces found")
@options.json_option
@options.quiet_option
def command(
    reps: Path,
    photos: tuple[Path, ...],
    more: tuple[Path, ...],
    top: int,
    threshold: float | None,
    index: bool,
    select: str,
    model: str | None,
    weights: options.WeightsRequest,
    detection: DetectionRequest,
    device: str,
    engine: str,
    html: Path | None,
    as_json: bool,
) -> int:
    """Find the person of a photo in represent folders.

    Compares the face in PHOTO with every face of REPS and lists the nearest, with their photos
    and boxes. Several photos must show one person: the distance to a face is the mean of those
    to each photo.

    A folder of another program does not say which network made it: give that with --model.
    """
    import_pytorch()
    from facetool.cli.tables.search import search_text
    from facetool.files.embeddings import describe_embeddings
    from facetool.pipeline.search import SearchSettings, gallery_network, search

    description = describe_embeddings(reps)
    name, recipe = model, None
    if (description.network and description.recipe) or not (model or weights.file):
        of_folder, recipe = gallery_network(description, reps)
        name = model or of_folder
    network = weights.load(name, recipe)
    settings = SearchSettings(
        top=top,
        threshold=threshold,
        index=index,
        select=select,
        detector=detection.detector,
        detection=detection.settings(
            detection.detector or (recipe or network.recipe).crop.detector
        ),
        device=device,
        engine=engine,
    )
    result = search([reps, *more], photos, network, settings)
    if html is not None:
        from facetool.reports.search import search_report

        search_report(result, html)
    if as_json:
        print_json(result.as_dict())
    else:
        click.echo(search_text(result))
    return result.report.exit_code
