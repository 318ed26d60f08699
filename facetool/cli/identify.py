"""``facetool identify``."""

from __future__ import annotations

from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.output import print_json


@click.command("identify")
@click.argument("gallery", type=options.EXISTING)
@click.argument("probes", type=options.EXISTING)
@click.option(
    "--distractors",
    type=options.EXISTING,
    multiple=True,
    metavar="REPS",
    help="Embeddings of people who are in neither gallery nor probes; may be repeated.",
)
@click.option(
    "--remove",
    type=options.FILE,
    multiple=True,
    metavar="LIST",
    help="List of mislabelled images, such as facescrub_noises.txt; may be repeated.",
)
@click.option(
    "--ranks",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Highest rank to report.",
)
@click.option("--output", type=options.NEW_FOLDER, help="Folder for the JSON file and the plots.")
@options.device_option
@options.json_option
@options.quiet_option
def command(
    gallery: Path,
    probes: Path,
    distractors: tuple[Path, ...],
    remove: tuple[Path, ...],
    ranks: int,
    output: Path | None,
    device: str,
    as_json: bool,
) -> int:
    """Identification rates among distractors, by MegaFace's protocol.

    GALLERY, PROBES and REPS are represent folders, or MegaFace feature files (.bin). Each
    gallery image of a probe's person in turn is its mate, alone among the distractors; GALLERY
    and PROBES may be the same folder. Without --distractors the gallery's other people serve.

    Writes identify.json, identify.png and identify.pdf where --output is given.
    """
    from facetool.cli.tables.identify import identify_text
    from facetool.pipeline.identify import identify

    result = identify(
        gallery,
        probes,
        distractors,
        remove=remove,
        output=output,
        device=device,
        ranks=ranks,
    )
    if as_json:
        print_json(result.as_dict())
    else:
        click.echo(identify_text(result.as_dict()))
    if output:
        click.echo(f"written to {output}", err=True)
    return 0
