"""``facetool outliers``."""

from __future__ import annotations

from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.output import print_json
from facetool.files.text import counted, printable


@click.command("outliers")
@click.argument("reps", type=options.EXISTING_FOLDER)
@options.pair_threshold_option
@options.quality_options
@click.option(
    "--duplicates",
    is_flag=True,
    help="List photos that are there more than once instead, also other sizes and copies of them.",
)
@options.html_option("each of them beside faces of the same person and of the nearest")
@options.json_option
@options.quiet_option
def command(
    reps: Path,
    threshold: float | None,
    min_face: float,
    min_sharpness: float,
    duplicates: bool,
    html: Path | None,
    as_json: bool,
) -> int:
    """Find faces unlike the rest of their folder: wrong people, wrong crops.

    Lists the images of a represent folder whose mean squared L2 distance to the other images of
    the same person is beyond the threshold, farthest first, with the person they are nearest to.
    """
    if duplicates:
        return _duplicates(reps, threshold, min_face, min_sharpness, html, as_json)
    from facetool.embedding.people import NO_FOLDER
    from facetool.pipeline.outliers import outliers

    result = outliers(reps, threshold, min_face=min_face, min_sharpness=min_sharpness)
    if html is not None:
        from facetool.reports.outliers import outliers_report

        outliers_report(result, reps, html)
    found = result.outliers
    if as_json:
        print_json(result.as_dict()["outliers"])
        return 0
    if found:
        click.echo(f"{'squared L2':>10}  {'nearest to':<24}  image")
        for one in found:
            nearest = one.nearest or NO_FOLDER
            click.echo(printable(f"{one.squared_l2:>10.4f}  {nearest:<24}  {one.image}"))
    of = f"{len(found):,} of {counted(result.compared, 'image')}"
    click.echo(f"{of} beyond {result.threshold:g}", err=True)
    return 0


def _duplicates(
    reps: Path,
    threshold: float | None,
    min_face: float,
    min_sharpness: float,
    html: Path | None,
    as_json: bool,
) -> int:
    from facetool.pipeline.duplicates import find_duplicates

    result = find_duplicates(reps, threshold, min_face=min_face, min_sharpness=min_sharpness)
    if html is not None:
        from facetool.reports.duplicates import duplicates_report

        duplicates_report(result, reps, html)
    if as_json:
        print_json(result.as_dict())
    else:
        for one in result.duplicates:
            click.echo(f"correlation {one.correlation:.3f}, squared L2 {one.squared_l2:.4f}")
            for image in one.images:
                click.echo(printable(f"  {image}"))
    images = sum(len(one.images) for one in result.duplicates)
    click.echo(
        f"{counted(len(result.duplicates), 'photo')} more than once ({images:,} of "
        f"{counted(result.compared, 'image')})",
        err=True,
    )
    return result.report.exit_code
