"""``facetool represent``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.pytorch import import_pytorch


@click.command("represent")
@click.argument("input", type=options.IMAGES)
@click.argument("output", type=options.NEW_FOLDER)
@options.model_option
@options.weights_option
@options.batch_size_option
@options.device_option
@options.dtype_option
@options.engine_option
@options.flip_option
@click.option("--any-crop", is_flag=True, help="Accept crops made by another recipe.")
@options.jobs_option
@click.option("--overwrite", is_flag=True, help="Start over if OUTPUT already holds embeddings.")
@options.quiet_option
def command(
    input: Path,
    output: Path,
    model: str | None,
    weights: options.WeightsRequest,
    batch_size: int,
    device: str,
    dtype: str,
    engine: str,
    flip: str,
    any_crop: bool,
    jobs: int | None,
    overwrite: bool,
) -> int:
    """Turn the aligned faces under INPUT into embeddings.

    Writes reps.csv (one row per image), labels.csv, reps.npy and represent.json to OUTPUT. An
    interrupted run continues where it stopped.
    """
    import_pytorch()
    from facetool.pipeline.represent import RepresentSettings, represent

    network = weights.load(model)
    settings = RepresentSettings(
        device=device,
        dtype=dtype,
        flip=flip,
        batch_size=batch_size,
        any_crop=any_crop,
        engine=engine,
    )
    report = represent(input, output, network, settings, jobs=jobs, overwrite=overwrite)
    print(f"{output}: {report}", file=sys.stderr)
    return report.exit_code
