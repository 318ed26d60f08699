"""``facetool cluster``."""

from __future__ import annotations

from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.output import print_json
from facetool.files.text import counted


@click.command("cluster")
@click.argument("reps", type=options.EXISTING_FOLDER)
@options.pair_threshold_option
@click.option(
    "-o",
    "--output",
    type=options.NEW_FILE,
    metavar="FILE",
    help="CSV file of group and image; default: REPS/groups.csv.",
)
@click.option(
    "--links",
    type=options.NEW_FOLDER,
    metavar="DIR",
    help="Create a folder per group here, with links to its crops; those of an earlier run are "
    "replaced.",
)
@options.quality_options
@options.html_option("the faces of each group")
@click.option(
    "--names",
    type=options.NEW_FILE,
    metavar="FILE",
    help="CSV file of name and image. Created with an image of every group of two or more: fill in "
    "names and run again. Named faces keep their names, and new ones join them.",
)
@options.json_option
@options.quiet_option
def command(
    reps: Path,
    threshold: float | None,
    output: Path | None,
    links: Path | None,
    html: Path | None,
    names: Path | None,
    min_face: float,
    min_sharpness: float,
    as_json: bool,
) -> None:
    """Group the faces of unknown people.

    Faces are joined while the mean distance between two groups is below the threshold. Where the
    images lie in people's folders, the agreement with those is reported over all pairs of images.
    Memory is taken for the pairs of faces below the threshold.
    """
    from facetool.pipeline.cluster import cluster

    table = output or reps / "groups.csv"
    clustering = cluster(
        reps,
        threshold,
        table,
        links,
        names,
        min_face=min_face,
        min_sharpness=min_sharpness,
    )
    if html is not None:
        from facetool.reports.cluster import cluster_report

        cluster_report(clustering, reps, html)
    result = clustering.as_dict()
    if as_json:
        print_json(result)
        return
    click.echo(
        f"{counted(result['images'], 'face')} in {counted(result['groups'], 'group')} "
        f"({result['single_images']:,} of one face, the largest of {result['largest']:,}), "
        f"squared L2 below {result['threshold']:g}"
    )
    if result["named_groups"]:
        named = counted(result["named_groups"], "named person", "named people")
        click.echo(f"{counted(result['named_images'], 'face')} of {named}")
    for name in ("precision", "recall"):
        if result[f"pair_{name}"] is not None:
            click.echo(f"pairwise {name} {result[f'pair_{name}']:.4f}")
    written = ", ".join(str(path) for path in (table, names, links) if path)
    click.echo(f"written to {written}", err=True)
