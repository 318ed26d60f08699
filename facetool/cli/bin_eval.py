"""``facetool bin-eval``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.output import print_json


@click.command("bin-eval")
@click.argument("files", nargs=-1, required=True, type=options.IMAGES, metavar="FILE.bin|FOLDER...")
@options.model_option
@options.weights_option
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Images per forward pass.",
)
@click.option("--any-crop", is_flag=True, help="Resize images that are not of the network's size.")
@options.device_option
@options.dtype_option
@options.json_option
@options.quiet_option
def command(
    files: tuple[Path, ...],
    model: str | None,
    weights: options.WeightsRequest,
    batch_size: int,
    any_crop: bool,
    device: str,
    dtype: str,
    as_json: bool,
) -> int:
    """Verification accuracy on InsightFace's sets (lfw.bin, cfp_fp.bin, agedb_30.bin ...).

    A folder stands for all .bin files in it.

    Prints accuracy with and without the mirrored image, XNorm and TAR at FAR, beside the
    published results of the network. 'facetool records pack-pairs' makes such a set.
    """
    from facetool.cli.tables.bin_eval import table
    from facetool.embedding.embedder import resolve_device, resolve_dtype
    from facetool.jobs.allocator import keep_freed_memory
    from facetool.pipeline.bin_eval import bin_eval

    keep_freed_memory()
    where = resolve_device(device)
    network = weights.load(model)
    dtype = resolve_dtype(dtype, where, network.info.architecture)
    result = bin_eval(files, network, where, dtype=dtype, batch_size=batch_size, any_crop=any_crop)
    if as_json:
        print_json(result.as_dict())
    else:
        click.echo(table(result.as_dict()))
    print(result.report, file=sys.stderr)
    return result.report.exit_code
