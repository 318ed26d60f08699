"""``facetool models``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.completion import complete_model
from facetool.cli.output import print_json
from facetool.files.text import counted
from facetool.weights.export_formats import EXPORT_SUFFIXES


@click.group("models")
def command() -> None:
    """List, inspect, fetch and convert networks and weights.

    MODEL is a name as ARCH or ARCH.TAG, in upper or lower case, or a weights file.
    """


@command.command("list")
@click.option("--detectors", is_flag=True, help="List the face detectors instead.")
@options.json_option
def list_command(detectors: bool, as_json: bool) -> None:
    """List networks and their published weights."""
    from facetool.cli.tables.models import detectors_text, list_text
    from facetool.pipeline.models import list_models
    from facetool.pipeline.models_detectors import list_detectors

    listed = list_detectors() if detectors else list_models()
    rows = [row.as_dict() for row in listed]
    text = detectors_text if detectors else list_text
    if as_json:
        print_json(rows)
    else:
        click.echo(text(rows))


@command.command("info")
@click.argument("model", shell_complete=complete_model)
@click.option("--layers", is_flag=True, help="List each layer, too: type, output, parameters.")
@options.weights_option
@options.json_option
def info_command(model: str, layers: bool, weights: options.WeightsRequest, as_json: bool) -> None:
    """Show parameters, layers, crop recipe, accuracy and licence of MODEL."""
    from facetool.cli.tables.models import info_text
    from facetool.pipeline.models import network_info

    found = network_info(
        model, weights.file, recipe=weights.recipe, output=weights.output, layers=layers
    )
    values = found.as_dict()
    if as_json:
        print_json(values)
    else:
        click.echo(info_text(values))


@command.command("fetch")
@click.argument("models", nargs=-1, required=True, shell_complete=complete_model)
@options.quiet_option
def fetch_command(models: tuple[str, ...]) -> None:
    """Download the weights of MODELS, networks or detectors, and print where they lie.

    An interrupted download continues where it stopped.
    """
    from facetool.pipeline.models import published_files
    from facetool.weights.download import fetch

    for published in [file for model in models for file in published_files(model)]:
        print(f"{published.name}: licence {published.licence}", file=sys.stderr)
        click.echo(fetch(published))


@command.command("where")
@click.argument("model", required=False, shell_complete=complete_model)
def where_command(model: str | None) -> None:
    """Print the path of the weights of MODEL, or the folder of all downloaded weights."""
    from facetool.weights.catalogue import resolve
    from facetool.weights.download import available_locally, weights_folder

    click.echo(weights_folder() if model is None else available_locally(resolve(model))[1])


@command.command("verify")
@click.argument("models", nargs=-1, shell_complete=complete_model)
@options.json_option
def verify_command(models: tuple[str, ...], as_json: bool) -> int:
    """Check weights on this machine, or those of MODELS, against their published checksums."""
    from facetool.cli.tables.models import verify_text
    from facetool.pipeline.models import verify

    rows = [row.as_dict() for row in verify(models)]
    if as_json:
        print_json(rows)
    else:
        click.echo(verify_text(rows))
    return 0 if all(row["ok"] for row in rows) else 1


@command.command("convert")
@click.argument("source", type=options.WEIGHTS, metavar="SRC")
@click.argument("target", type=options.NEW_FILE, metavar="DST")
@options.recipe_options
def convert_command(source: Path, target: Path, weights: options.WeightsRequest) -> None:
    """Convert any weights file SRC into DST, a self-contained safetensors file.

    What the options state about the input is stored in DST.
    """
    from facetool.pipeline.models import convert

    network = convert(source, target, recipe=weights.recipe, output=weights.output)
    print(f"{target}: {network.info.architecture} {network.info.variant}".rstrip(), file=sys.stderr)


@command.command("export")
@click.argument("model", shell_complete=complete_model)
@click.argument("target", type=options.NEW_FILE, metavar="OUT")
@options.weights_option
@click.option("--fold", is_flag=True, help="Fold batch normalisation into the layers before it.")
@click.option(
    "--to",
    "to",
    type=click.Choice(list(EXPORT_SUFFIXES)),
    show_default="by OUT's ending",
    help="File format; openvino is an extra.",
)
@click.option("--bgr", is_flag=True, help="With openvino: the network takes BGR input.")
@click.option("--half", is_flag=True, help="With openvino: store the weights as float16.")
def export_command(
    model: str,
    target: Path,
    weights: options.WeightsRequest,
    fold: bool,
    to: str | None,
    bgr: bool,
    half: bool,
) -> None:
    """Write MODEL as OUT.onnx, or OUT.xml and OUT.bin for OpenVINO, for any batch size."""
    from facetool.pipeline.models import export

    embedding = export(
        model,
        target,
        weights.file,
        to=to,
        fold=fold,
        bgr=bgr,
        half=half,
        recipe=weights.recipe,
        output=weights.output,
    )
    print(f"{target}: input data, output {embedding}", file=sys.stderr)


@command.command("quantize")
@click.argument("model", shell_complete=complete_model)
@click.argument(
    "target",
    type=options.NEW_FILE,
    metavar="[OUT]",
    required=False,
)
@click.option(
    "--calibrate",
    type=options.IMAGES,
    required=True,
    metavar="FOLDER",
    help="Aligned faces for the network, on which the 8-bit scales are chosen: 16 or more, of "
    "which up to 300 are used.",
)
@options.weights_option
@options.json_option
def quantize_command(
    model: str,
    target: Path | None,
    calibrate: Path,
    weights: options.WeightsRequest,
    as_json: bool,
) -> int:
    """Write MODEL with 8-bit weights and activations, as OUT.xml and OUT.bin.

    The result is a weights file like any other, and is run by OpenVINO (an extra). OUT is the
    weights' name with .int8.xml unless given. Prints how alike the two networks' embeddings are.
    With 'represent --dtype auto' what is not in 8 bits may be bfloat16.
    """
    from facetool.pipeline.models_quantize import quantize_network

    made = quantize_network(
        model,
        target,
        weights.file,
        calibrate=calibrate,
        recipe=weights.recipe,
        output=weights.output,
    )
    if as_json:
        print_json(made.as_dict())
    else:
        click.echo(
            f"{made.path}: cosine to the network it was made from {made.cosine:.5f} on average, "
            f"{made.lowest_cosine:.5f} at the lowest ({counted(made.crops, 'face')})"
        )
    print(f"{made.path}: {made.report}", file=sys.stderr)
    return made.report.exit_code
