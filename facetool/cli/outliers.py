"""``facetool outliers``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from facetool.cli import options


@click.command("outliers")
@click.argument("reps", type=options.FOLDER)
@options.pair_threshold_option
@options.json_option
def command(reps: Path, threshold: float | None, as_json: bool) -> None:
    """Find faces unlike the rest of their folder: wrong people, wrong crops.

    Lists the images of a represent folder whose mean squared L2 distance to the other images of
    the same person is beyond the threshold, farthest first, with the person they are nearest to.
    """
    from facetool.pipeline.outliers import outliers

    found, compared, limit = outliers(reps, threshold)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
        return
    if found:
        click.echo(f"{'squared L2':>10}  {'nearest to':<24}  image")
        for one in found:
            click.echo(f"{one.squared_l2:>10.4f}  {one.nearest:<24}  {one.image}")
    click.echo(f"{len(found):,} of {compared:,} images beyond {limit:g}", err=True)
