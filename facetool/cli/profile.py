"""``facetool profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetool.cli import options
from facetool.cli.completion import complete_model
from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.cli.output import print_json
from facetool.cli.pytorch import import_pytorch
from facetool.embedding.choices import DEFAULT_BATCH_SIZE
from facetool.networks.dtypes import DTYPES

if TYPE_CHECKING:
    from facetool.alignment.recipes import Crop
    from facetool.profiling.machine import Machine

_plot_option = click.option(
    "--plot",
    type=options.NEW_FILE,
    metavar="FILE",
    help="Plot the times to FILE, a .png or .pdf.",
)


def _sizes(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """``1,8,32`` as (1, 8, 32)."""
    try:
        sizes = tuple(dict.fromkeys(int(size) for size in value.split(",")))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise click.BadParameter(f"{value!r}; give whole numbers such as 1,8,32")
    return sizes


@click.group("profile")
def command() -> None:
    """Measure time and memory of networks and of the whole pipeline."""


@command.command("network")
@click.argument("models", nargs=-1, shell_complete=complete_model, metavar="[MODEL]...")
@options.weights_option
@click.option(
    "--device",
    "devices",
    multiple=True,
    default=("auto",),
    metavar="auto|cpu|cuda|cuda:N",
    help="Device to measure on, may be repeated; auto uses a GPU if there is one.",
)
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(DTYPES),
    multiple=True,
    default=("float32",),
    help="Precision to measure, may be repeated.  [default: float32]",
)
@click.option(
    "--passes",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Forward passes of a single image, after a warm-up.",
)
@click.option(
    "--batch-sizes",
    callback=_sizes,
    default="1,8,32",
    show_default=True,
    metavar="N,N...",
    help="Batch sizes at which throughput is measured.",
)
@click.option("--layers", is_flag=True, help="Show the time of each top-level block.")
@click.option("--published", is_flag=True, help="Show the times published by the authors as well.")
@_plot_option
@options.quiet_option
@options.json_option
def network_command(
    models: tuple[str, ...],
    weights: options.WeightsRequest,
    devices: tuple[str, ...],
    dtypes: tuple[str, ...],
    passes: int,
    batch_sizes: tuple[int, ...],
    layers: bool,
    published: bool,
    plot: Path | None,
    as_json: bool,
) -> int:
    """Parameters, FLOPs, time per forward pass and memory of networks, side by side.

    MODEL is a name as ARCH or ARCH.TAG or a weights file; default: dlib-resnet. A network whose
    weights are not on this machine is measured with random ones, which take the same time.
    """
    import_pytorch()
    from facetool.cli.tables.profile import networks_text
    from facetool.plots.profile import network_figure
    from facetool.plots.style import check_name, save_plot
    from facetool.profiling.network import NetworkSettings, profile_networks

    if plot is not None:
        check_name(plot)
    settings = NetworkSettings(
        devices=devices,
        dtypes=dtypes,
        passes=passes,
        batch_sizes=batch_sizes,
        layers=layers,
    )
    profiles = profile_networks(
        models, settings, weights=weights.file, recipe=weights.recipe, output=weights.output
    )
    if as_json:
        print_json(profiles.as_dict())
    else:
        click.echo(networks_text(profiles, published))
    if plot is not None:
        save_plot(network_figure(profiles, published), plot)
        click.echo(f"plot: {plot}", err=True)
    _warn_if_busy(profiles.machine)
    return profiles.report.exit_code


@command.command("pipeline")
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    type=options.ANY_PATH,
    metavar="IMAGE|FOLDER...",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_model,
    help="Network, as ARCH or ARCH.TAG; may be repeated, to measure several side by side. "
    "Default: the one in --weights, or else dlib-resnet.",
)
@options.weights_option
@detection_options
@options.device_option
@options.dtype_option
@click.option(
    "--iterations",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="N",
    help="Number of measurements of each photo.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=DEFAULT_BATCH_SIZE,
    show_default=True,
    help="Faces per forward pass, for folders.",
)
@options.jobs_option
@click.option(
    "--published",
    is_flag=True,
    help="Show the times that OpenFace published of its example photos as well.",
)
@_plot_option
@options.quiet_option
@options.json_option
def pipeline_command(
    inputs: tuple[Path, ...],
    models: tuple[str, ...],
    weights: options.WeightsRequest,
    detection: DetectionRequest,
    device: str,
    dtype: str,
    iterations: int,
    batch_size: int,
    jobs: int | None,
    published: bool,
    plot: Path | None,
    as_json: bool,
) -> int:
    """Time taken by detection, alignment and representation.

    A photo is measured repeatedly, from the decoded photo to the embedding of its largest face.
    A folder is processed once from files to embeddings, by the code of align and represent but
    without writing anything: images per second, and how long each stage was busy. Weights that
    are not on this machine are replaced with random ones, which take the same time.
    """
    import_pytorch()
    from facetool.alignment.recipes import override
    from facetool.cli.tables.profile import pipeline_text, published_pipelines_text
    from facetool.plots.profile import pipeline_figure
    from facetool.plots.style import check_name, save_plot
    from facetool.profiling.pipeline import profile_pipelines
    from facetool.profiling.pipeline_settings import PipelineSettings

    if plot is not None:
        check_name(plot)

    def settings(crop: Crop) -> PipelineSettings:
        crop = override(crop, detector=detection.detector)
        return PipelineSettings(
            crop=crop,
            detection=detection.settings(crop.detector),
            device=device,
            dtype=dtype,
            iterations=iterations,
            batch_size=batch_size,
            jobs=jobs,
        )

    profiles = profile_pipelines(
        inputs,
        models,
        settings,
        weights=weights.file,
        recipe=weights.recipe,
        output=weights.output,
    )
    documents = [profile.as_dict() for profile in profiles]
    if as_json:
        print_json(documents[0] if len(documents) == 1 else {"models": documents})
    else:
        texts = [pipeline_text(profile) for profile in profiles]
        click.echo("\n\n".join([*texts, *([published_pipelines_text()] if published else [])]))
    if plot is not None:
        save_plot(pipeline_figure(profiles, published), plot)
        click.echo(f"plot: {plot}", err=True)
    _warn_if_busy(profiles[0].machine)
    return max(profile.report.exit_code for profile in profiles)


def _warn_if_busy(machine: Machine) -> None:
    if machine.busy:
        click.echo(
            f"warning: this machine was busy with other work (load {machine.load:.1f} on "
            f"{machine.cores} cores), so times are too long; measure again when it is idle",
            err=True,
        )
