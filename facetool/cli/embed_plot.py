"""``facetool embed-plot``."""

from __future__ import annotations

from pathlib import Path

import click

from facetool.cli import options
from facetool.files.text import counted


@click.command("embed-plot")
@click.argument("reps", type=options.EXISTING_FOLDER)
@click.option(
    "-o",
    "--output",
    type=options.NEW_FILE,
    metavar="FILE",
    help="PNG file; default: REPS/tsne.png.",
)
def command(reps: Path, output: Path | None) -> None:
    """Draw the embeddings of a represent folder as a map in which similar faces lie together.

    The map is made by t-SNE. Each person has a colour; up to 20 people get a legend.
    """
    from facetool.pipeline.embed_plot import embed_plot

    target = output or reps / "tsne.png"
    drawn = embed_plot(reps, target)
    click.echo(f"{counted(drawn, 'face')} drawn: {target}", err=True)
