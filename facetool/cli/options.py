"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from facetool.cli.completion import complete_model
from facetool.cli.progress import TerminalProgress
from facetool.embedding.choices import ENGINES
from facetool.jobs.progress import follow
from facetool.networks.dtypes import DTYPES

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
IMAGES = click.Path(exists=True, path_type=Path)
"""An image folder or a record file; the stage says what it is not."""
PHOTOS = click.Path(exists=True, allow_dash=True, path_type=Path)
"""The same, a photo, a text file that lists photos, or ``-`` for such a list on stdin."""
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)


def model_option(command: Command) -> Command:
    """``--model``: a network by name."""
    return click.option(
        "--model",
        metavar="NAME",
        shell_complete=complete_model,
        help="Network, as ARCH or ARCH.TAG; 'facetool models list' shows them. "
        "Default: what --weights holds, or else dlib-resnet.",
    )(command)


def weights_option(command: Command) -> Command:
    """``--weights``: a file instead of the catalogue's weights."""
    return click.option(
        "--weights",
        type=FILE,
        help="Weights file (.t7, .params, .onnx, .pt, .safetensors …) instead of the published.",
    )(command)


def null_option(command: Command) -> Command:
    """``--null``: how a list of photos is written."""
    return click.option(
        "-0", "--null", is_flag=True, help="The paths of a list end in NUL, as of find -print0."
    )(command)


def device_option(command: Command) -> Command:
    """``--device``: where the network runs."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda|cuda:N",
        help="Where the network runs; auto takes a GPU if there is one.",
    )(command)


def dtype_option(command: Command) -> Command:
    """``--dtype``: the network's arithmetic."""
    return click.option(
        "--dtype",
        type=click.Choice([*DTYPES, "auto"]),
        default="float32",
        show_default=True,
        help="Arithmetic of the network; embeddings are written as float32. auto is bfloat16 where "
        "the device computes in it and the network is known to keep its accuracy.",
    )(command)


def engine_option(command: Command) -> Command:
    """``--engine``: what runs the network."""
    return click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="torch",
        show_default=True,
        help="What runs the network; openvino is an extra, for many crops on a CPU.",
    )(command)


def quiet_option(command: Command) -> Command:
    """``--quiet``: no progress bar."""
    return click.option(
        "--quiet",
        is_flag=True,
        expose_value=False,
        callback=_show_progress,
        help="No progress bar.",
    )(command)


def _show_progress(context: click.Context, parameter: click.Parameter, quiet: bool) -> None:
    context.with_resource(follow(TerminalProgress(quiet)))


def jobs_option(command: Command) -> Command:
    """``--jobs``: worker processes."""
    return click.option(
        "--jobs", type=click.IntRange(1), help="Workers; default: all available cores."
    )(command)


def json_option(command: Command) -> Command:
    """``--json``: one document on stdout."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead of a table."
    )(command)


def pair_threshold_option(command: Command) -> Command:
    """``--threshold``: where "same person" ends."""
    return click.option(
        "--threshold",
        type=click.FloatRange(0, min_open=True),
        metavar="X",
        help="Squared L2 below which two faces are one person's, instead of the network's own.",
    )(command)
