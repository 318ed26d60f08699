"""``facetool merge``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facetool.cli import options


@click.command("merge")
@click.argument("out", type=options.PATH_OR_NAME)
@click.argument("reps", type=options.NEW_FOLDER)
@click.option("--overwrite", is_flag=True, help="Start over if REPS already holds embeddings.")
@options.quiet_option
def command(out: str, reps: Path, overwrite: bool) -> int:
    """Turn what embed wrote to OUT into a folder like represent's.

    OUT is a folder or a URL. Writes reps.csv (one row per face), labels.csv, reps.npy and
    represent.json to REPS. If shards are missing, the rest is merged, they are named, and the
    exit code is 1.
    """
    from facetool.pipeline.merge import merge

    report = merge(out, reps, overwrite=overwrite)
    print(f"{reps}: {report}", file=sys.stderr)
    return report.exit_code
