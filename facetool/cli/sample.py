"""``facetool sample``."""

from __future__ import annotations

from pathlib import Path

import click

from facetool.cli import options


@click.command("sample")
@click.argument("output", type=options.ANY_PATH)
@click.option("--people", default=60, show_default=True, help="Number of people.")
@click.option("--images", default=10, show_default=True, help="Photos of each.")
@click.option("--seed", default=0, show_default=True, help="Another seed gives other people.")
@options.jobs_option
@click.option("--overwrite", is_flag=True, help="Draw again, replacing an album that is there.")
@options.quiet_option
def command(
    output: Path,
    people: int,
    images: int,
    seed: int,
    jobs: int | None,
    overwrite: bool,
) -> None:
    """Draw an album of imaginary people, to try everything without photos.

    Writes OUTPUT/<First_Last>/<First_Last>_0001.jpg and so on, as in LFW, and OUTPUT/pairs.txt
    for lfw-eval. The same options give the same files; an interrupted run continues.
    """
    import sys

    from facetool.sample.album import draw_album

    summary = draw_album(
        output, people=people, images=images, seed=seed, jobs=jobs, overwrite=overwrite
    )
    print(f"{output}: {summary}", file=sys.stderr)
