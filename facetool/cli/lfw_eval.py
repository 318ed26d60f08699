"""``facetool lfw-eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetool.cli import options
from facetool.cli.output import print_json
from facetool.evaluation.protocols import METRICS, PROTOCOLS
from facetool.files.text import counted

if TYPE_CHECKING:
    from facetool.pipeline.lfw_eval import PairCounts


def _curve(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, Path]]:
    curves = []
    for value in values:
        label, _, name = value.partition("=")
        if not (label and name):
            raise click.BadParameter(f"expected LABEL=PATH, got {value!r}")
        curves.append((label, Path(name)))
        if not curves[-1][1].exists():
            raise click.BadParameter(f"there is no file or folder {name}")
    return curves


@click.command("lfw-eval")
@click.argument("reps", type=options.EXISTING_FOLDER)
@click.option(
    "--pairs",
    type=options.FILE,
    required=True,
    help="LFW's pairs.txt, or pairs as CSV or as paths with a label.",
)
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="openface",
    show_default=True,
    help="Evaluation protocol.",
)
@click.option("--output", type=options.NEW_FOLDER, help="Folder for the results; default: REPS.")
@click.option("--tag", metavar="NAME", help="Label of the curve; default: the name of the weights.")
@click.option(
    "--curve",
    "curves",
    metavar="LABEL=PATH",
    multiple=True,
    callback=_curve,
    help="A further curve to draw: the file of a published ROC, or the folder of another run's "
    "results; may be repeated.",
)
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    default="squared-l2",
    show_default=True,
    help="Distance used by the facenet protocol.",
)
@click.option(
    "--subtract-mean",
    is_flag=True,
    help="With the facenet protocol: subtract the training folds' mean embedding.",
)
@click.option(
    "--save-threshold",
    type=options.FILE,
    metavar="FILE",
    help="Store the threshold found in FILE, the safetensors file that REPS was made with, and in "
    "REPS, so that compare and classify use it.",
)
@click.option(
    "--far",
    type=options.Number(0, 1, min_open=True, max_open=True),
    metavar="RATE",
    help="With --save-threshold: the threshold for this false accept rate.  [default: the most "
    "accurate threshold]",
)
@options.pairs_plot_option
@options.html_option("the ROC and the pairs judged wrongly, side by side")
@options.json_option
def command(
    reps: Path,
    pairs: Path,
    protocol: str,
    output: Path | None,
    tag: str | None,
    curves: list[tuple[str, Path]],
    metric: str,
    subtract_mean: bool,
    save_threshold: Path | None,
    far: float | None,
    pairs_plot: Path | None,
    html: Path | None,
    as_json: bool,
) -> int:
    """Verification accuracy and ROC of the embeddings in REPS on LFW-style pairs.

    Writes accuracies.txt, l2-roc.fold-K.csv, roc.png, roc.pdf and result.json. Pairs whose
    images are not in REPS are left out and named, and the exit code is then 1.

    openface takes embeddings as they are; insightface normalises them (represent --flip sum);
    facenet takes them as they are (represent --flip concat).
    """
    from facetool.cli.tables.lfw_eval import lfw_eval_text
    from facetool.pipeline.lfw_eval import lfw_eval

    result = lfw_eval(
        reps,
        pairs,
        protocol,
        output=output,
        tag=tag,
        curves=curves,
        metric=metric,
        subtract_mean=subtract_mean,
        save_threshold=save_threshold,
        far=far,
        pairs_plot=pairs_plot,
    )
    if html is not None:
        from facetool.reports.lfw_eval import lfw_eval_report

        lfw_eval_report(result, reps, output or reps, html)
    if result.saved_threshold is not None:
        from facetool.cli.tables.compare import threshold_text

        text = threshold_text(result.saved_threshold)
        click.echo(f"{text}, saved in {save_threshold} and {reps}", err=True)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    if result.pairs.missing:
        click.echo(_missing_line(result.pairs), err=True)
    if as_json:
        print_json(result.as_dict())
    else:
        click.echo(lfw_eval_text(result.as_dict()))
        click.echo(f"written to {output or reps}; the curve is in roc.png and roc.pdf", err=True)
    return 1 if result.pairs.missing else 0


def _missing_line(pairs: PairCounts) -> str:
    images = pairs.missing_images
    named = ", ".join(images[:5])
    if len(images) > 5:
        named += f" and {len(images) - 5:,} more, all named in result.json"
    total = pairs.scored + pairs.missing
    return f"{pairs.missing:,} of {counted(total, 'pair')} not scored, no embedding of: {named}"
