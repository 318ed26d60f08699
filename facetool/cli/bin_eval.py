"""``facetool bin-eval``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.output import print_json
from facetool.cli.pytorch import import_pytorch


@click.command("bin-eval")
@click.argument("files", nargs=-1, required=True, type=options.IMAGES, metavar="FILE.bin|FOLDER...")
@options.model_option
@options.weights_option
@options.batch_size_option
@click.option(
    "--nfolds",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    help="Folds of the cross-validation.",
)
@click.option("--any-crop", is_flag=True, help="Resize images that are not of the network's size.")
@options.pairs_plot_option
@options.device_option
@options.dtype_option
@options.engine_option
@options.json_option
@options.quiet_option
def command(
    files: tuple[Path, ...],
    model: str | None,
    weights: options.WeightsRequest,
    batch_size: int,
    nfolds: int,
    any_crop: bool,
    pairs_plot: Path | None,
    device: str,
    dtype: str,
    engine: str,
    as_json: bool,
) -> int:
    """Verification accuracy on InsightFace's sets (lfw.bin, cfp_fp.bin, agedb_30.bin ...).

    A folder stands for all .bin files in it. NAME may be several epochs of a training run with
    MXNet, as PREFIX,1|2|3, or as PREFIX alone for all there are: they share a table.

    Prints accuracy with and without the mirrored image, XNorm and TAR at FAR, beside the
    published results of the network. 'facetool records pack-pairs' makes such a set.
    """
    import_pytorch()
    from facetool.cli.tables.bin_eval import bin_eval_table, epochs_table
    from facetool.pipeline.bin_eval import bin_eval_epochs

    results = []
    for result in bin_eval_epochs(
        files,
        model,
        weights.file,
        recipe=weights.recipe,
        output=weights.output,
        device=device,
        dtype=dtype,
        engine=engine,
        batch_size=batch_size,
        any_crop=any_crop,
        nfolds=nfolds,
        pairs_plot=pairs_plot,
    ):
        print(result.report, file=sys.stderr)
        results.append(result)
    documents = [result.as_dict() for result in results]
    if as_json:
        print_json(documents[0] if len(documents) == 1 else {"epochs": documents})
    else:
        click.echo(bin_eval_table(documents[0]) if len(documents) == 1 else epochs_table(documents))
    return max(result.report.exit_code for result in results)
