"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from facetool.alignment.recipes import CHANNELS, Crop, PerChannel, Recipe
from facetool.alignment.stated_recipe import (
    CROPS,
    RECIPES,
    StatedRecipe,
    parse_crop,
    parse_numbers,
)
from facetool.cli.completion import complete_model
from facetool.cli.progress import TerminalProgress
from facetool.detection.options import DEFAULT_SELECT, ONE_FACE, PREDICTORS, SELECTIONS
from facetool.embedding.choices import DEFAULT_BATCH_SIZE, ENGINES, FLIPS
from facetool.errors import UsageError
from facetool.files.output_file import same_place
from facetool.images.choices import DEFAULT_EVERY, SCENE
from facetool.jobs.progress import follow
from facetool.networks.dtypes import EMBEDDING_DTYPES
from facetool.weights.epochs import weights_file

if TYPE_CHECKING:
    from facetool.classification.classifier import Classifier
    from facetool.networks.base import EmbeddingNetwork

Command = TypeVar("Command", bound=Callable[..., Any])


class GivenPath(click.Path):
    """A path that is not empty: of a shell variable that is not set it would be this folder."""

    def __init__(self, *, path_type: type[Path] | type[str] = Path, **settings: bool) -> None:
        super().__init__(path_type=path_type, **settings)

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The path."""
        if value == "":
            self.fail("the path is empty", parameter, context)
        return super().convert(value, parameter, context)


EXISTING_FOLDER = GivenPath(exists=True, file_okay=False)
FILE = GivenPath(exists=True, dir_okay=False)
EXISTING = GivenPath(exists=True)
"""A file or a folder; the stage says what it is not."""
IMAGES = EXISTING
"""An image folder or a record file."""
PHOTOS = GivenPath(exists=True, allow_dash=True)
"""The same, a photo, a text file that lists photos, or ``-`` for such a list on stdin."""
ANY_PATH = GivenPath()
"""One of several inputs, each of which may fail alone, or an output of any kind."""
PATH_OR_NAME = GivenPath(path_type=str, readable=False)
"""A path, a URL or the name of a network: a text, of which the stage knows which it is."""
NEW_FOLDER = GivenPath(file_okay=False)


class NewFile(GivenPath):
    """A file to write: no two of a command's are the same."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The file's path."""
        path = cast(Path, super().convert(value, parameter, context))
        if context is not None and parameter is not None:
            others = context.meta.setdefault(__name__, {})
            for name, other in others.items():
                if name != parameter.name and same_place(path, other):
                    self.fail(f"{path} is to hold another result, too", parameter, context)
            others[parameter.name] = path
        return path


NEW_FILE = NewFile()


class WeightsFile(GivenPath):
    """A weights file: its path, or MXNet's ``PREFIX,EPOCH``."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The file's path."""
        return super().convert(value and weights_file(value), parameter, context)


WEIGHTS = WeightsFile()


class Number(click.FloatRange):
    """A finite number, in a range if one is given: click's own takes ``nan`` for in every range."""

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The number."""
        number = super().convert(value, parameter, context)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number", parameter, context)
        return number


class Every(Number):
    """Seconds, or ``scene``."""

    name = f"number of seconds, nor {SCENE!r}"  # in click's "… is not a valid …"

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The seconds, or the word."""
        return value if value == SCENE else super().convert(value, parameter, context)


def every_option(command: Command) -> Command:
    """``--every``: which frames of videos are searched."""
    return click.option(
        "--every",
        type=Every(),
        metavar="SECONDS|scene",
        help="Search a frame of each video every so many seconds, or the first of each scene, and "
        f"take videos in folders, too. Default: {DEFAULT_EVERY}, and of videos only those that "
        "are given or listed by name.",
    )(command)


def model_option(command: Command) -> Command:
    """``--model``: a network by name."""
    return click.option(
        "--model",
        metavar="NAME",
        shell_complete=complete_model,
        help="Network, as ARCH or ARCH.TAG; see 'facetool models list'. "
        "Default: the one in --weights, or else dlib-resnet.",
    )(command)


@dataclass(frozen=True)
class WeightsRequest:
    """The weights that a user chose, and what the user states about their input.

    Attributes:
        file: instead of the published weights.
        recipe: what is stated.
        output: the layer whose values are the embedding.
    """

    file: Path | None
    recipe: StatedRecipe | None
    output: str

    def load(self, model: str | Path | None, recipe: Recipe | None = None) -> EmbeddingNetwork:
        """The network, as :func:`facetool.load_network` gives it.

        Args:
            model: name or file, as a user gave it.
            recipe: for a user who states nothing.
        """
        from facetool.weights.load import load_network

        stated = self.recipe
        if stated is None and recipe is not None:
            stated = StatedRecipe.of(recipe)
        return load_network(model, self.file, recipe=stated, output=self.output)

    def load_for(self, classifier: Classifier, model: str | None = None) -> EmbeddingNetwork:
        """The network that a classifier was trained with, unless a user chose another."""
        from facetool.pipeline.classify_infer import network_name

        name = network_name(classifier) if model is None else model
        return self.load(name, classifier.recipe)


def _usage(parse: Callable[[str], Any]) -> Callable[..., Any]:
    """A parser of a library's as an option's callback."""

    def callback(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except UsageError as error:
            raise click.BadParameter(str(error)) from None

    return callback


_RECIPE_OPTIONS = (
    click.option(
        "--recipe",
        type=click.Choice(list(RECIPES)),
        metavar="NAME",
        help="How a photo becomes the network's input, if the weights file does not say: "
        f"{', '.join(RECIPES)}.",
    ),
    click.option(
        "--mean",
        metavar="M[,M,M]",
        callback=_usage(parse_numbers),
        help="Value subtracted from the pixels (0 to 255): one for all channels, or one for each.",
    ),
    click.option(
        "--scale",
        metavar="S[,S,S]",
        callback=_usage(parse_numbers),
        help="Factor applied after that, such as 1/255: one for all channels, or one for each.",
    ),
    click.option(
        "--channels",
        type=click.Choice(list(CHANNELS)),
        help="Channel order of the network's input.",
    ),
    click.option(
        "--crop",
        metavar="CROP",
        callback=_usage(parse_crop),
        help=f"How faces are cut out: {', '.join(CROPS)}, or LANDMARKS:WIDTHxHEIGHT such as "
        "arcface:160x160.",
    ),
    click.option(
        "--output",
        "output_layer",
        default="",
        metavar="NAME",
        help="Layer whose output is the embedding; 'facetool models info FILE' lists the layers.  "
        "[default: the last]",
    ),
)


def weights_option(command: Command) -> Command:
    """``--weights`` and what goes with a file that does not say everything.

    The command gets them all as ``weights``, a :class:`WeightsRequest`.
    """
    file = click.option(
        "--weights",
        type=WEIGHTS,
        help="Weights file (.t7, .params, .onnx, .xml, .pt, .safetensors …) to use instead of the "
        "published weights.",
    )
    return file(recipe_options(command))


def recipe_options(command: Command) -> Command:
    """What goes with a weights file that does not say everything, for commands that name it."""

    @wraps(command)
    def with_request(
        *arguments: Any,
        recipe: str | None,
        mean: PerChannel | None,
        scale: PerChannel | None,
        channels: str | None,
        crop: Crop | None,
        output_layer: str,
        weights: Path | None = None,
        **options: Any,
    ) -> Any:
        stated = StatedRecipe(name=recipe, mean=mean, scale=scale, channels=channels, crop=crop)
        request = WeightsRequest(weights, stated if stated.parts else None, output_layer)
        return command(*arguments, weights=request, **options)

    for option in reversed(_RECIPE_OPTIONS):
        with_request = option(with_request)
    return cast(Command, with_request)


def null_option(command: Command) -> Command:
    """``--null``: how a list of photos is written."""
    return click.option(
        "-0",
        "--null",
        is_flag=True,
        help="Paths in a list are separated by NUL, as find -print0 writes them.",
    )(command)


def device_option(command: Command) -> Command:
    """``--device``: where the network runs."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda|cuda:N",
        help="Where the network runs; auto uses a CUDA GPU if there is one. An Apple GPU, mps, "
        "runs embedding networks only.",
    )(command)


def dtype_option(command: Command) -> Command:
    """``--dtype``: the network's precision."""
    return click.option(
        "--dtype",
        type=click.Choice(EMBEDDING_DTYPES),
        default="float32",
        show_default=True,
        help="Precision of the network, in an 8-bit one of what is not in 8 bits; embeddings are "
        "always written as float32. auto uses bfloat16 where the hardware supports it and the "
        "network is known to keep its accuracy.",
    )(command)


def engine_option(command: Command) -> Command:
    """``--engine``: what runs the network."""
    return click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="torch",
        show_default=True,
        help="Inference engine; openvino (an extra) suits many crops on a CPU.",
    )(command)


def batch_size_option(command: Command) -> Command:
    """``--batch-size``: of the network's forward passes."""
    return click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=DEFAULT_BATCH_SIZE,
        show_default=True,
        help="Images per pass through the network.",
    )(command)


def flip_option(command: Command) -> Command:
    """``--flip``: what becomes of the mirrored crop."""
    return click.option(
        "--flip",
        type=click.Choice(FLIPS),
        default="none",
        show_default=True,
        help="Embed the mirrored crop as well and add the two (sum, as InsightFace) or join them "
        "(concat, as facenet).",
    )(command)


def predictor_option(command: Command) -> Command:
    """``--predictor``: dlib's landmarks."""
    return click.option(
        "--predictor",
        type=click.Choice([str(points) for points in PREDICTORS]),
        help="dlib's landmark model, instead of the recipe's or the detector's landmarks.",
    )(command)


def strict_option(command: Command) -> Command:
    """``--strict``: what becomes of truncated photos."""
    return click.option(
        "--strict", is_flag=True, help="Count truncated photos as failed instead of reading them."
    )(command)


def select_option(does: str, choices: tuple[str, ...] = SELECTIONS) -> Callable[[Command], Command]:
    """``--select``: which faces of a photo to do what ``does`` says with."""
    return click.option(
        "--select",
        type=click.Choice(choices),
        default=DEFAULT_SELECT,
        show_default=True,
        help=f"Which {'face' if choices == ONE_FACE else 'faces'} of a photo to {does}.",
    )


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
        "--jobs",
        type=click.IntRange(1),
        help="Number of worker processes.  [default: all available cores]",
    )(command)


def json_option(command: Command) -> Command:
    """``--json``: one document on stdout."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead of a table."
    )(command)


def pairs_plot_option(command: Command) -> Command:
    """``--pairs-plot``: errors and examples of a verification."""
    return click.option(
        "--pairs-plot",
        type=NEW_FILE,
        metavar="FILE",
        help="Plot the worst errors of each kind and examples, with their similarity.",
    )(command)


def html_option(shows: str) -> Callable[[Command], Command]:
    """``--html``: a page to look at, of what ``shows`` says."""
    return click.option(
        "--html",
        type=NEW_FILE,
        callback=_check_page,
        metavar="FILE",
        help=f"Write a web page that shows {shows}; it needs no other file.",
    )


def _check_page(
    context: click.Context, parameter: click.Parameter, path: Path | None
) -> Path | None:
    """The path of a page, which a photo after ``--html`` is not: it would be overwritten."""
    if path is not None:
        from facetool.reports.page import check_page

        check_page(path)
    return path


def quality_options(command: Command) -> Command:
    """``--min-face``, ``--min-sharpness``: which faces of a represent folder take part."""
    sharpness = click.option(
        "--min-sharpness",
        type=Number(0),
        default=0,
        metavar="X",
        help="Leave out faces whose sharpness in align.csv is below this.",
    )
    size = click.option(
        "--min-face",
        type=Number(0),
        default=0,
        metavar="PIXELS",
        help="Leave out faces whose box has a shorter edge than this.",
    )
    return size(sharpness(command))


def pair_threshold_option(command: Command) -> Command:
    """``--threshold``: where "same person" ends."""
    return click.option(
        "--threshold",
        type=Number(0, min_open=True),
        metavar="X",
        help="Squared L2 distance below which two faces are the same person, instead of the "
        "network's own threshold.",
    )(command)
