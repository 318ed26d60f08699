"""``facetool classify``: train, infer, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from facetool.classification.choices import DEFAULT_FPIR
from facetool.cli import options
from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.cli.messages import error_text
from facetool.cli.output import print_json
from facetool.cli.pytorch import import_pytorch
from facetool.errors import FacetoolError

if TYPE_CHECKING:
    from facetool.pipeline.classify_infer import NamedPhoto


def _complete_classifier(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from facetool.classification.fit import FITTERS

    return [CompletionItem(name) for name in FITTERS if name.startswith(incomplete.lower())]


def _training_options(command: options.Command) -> options.Command:
    for option in (
        click.option(
            "--fpir",
            type=options.Number(0, 1, min_open=True, max_open=True),
            default=DEFAULT_FPIR,
            show_default=True,
            help="Share of strangers that may be given a name.",
        ),
        click.option(
            "--lda-dim", type=click.IntRange(1), metavar="N", help="Reduce to N dimensions by LDA."
        ),
        click.option(
            "--classifier",
            "kind",
            default="linear-svm",
            show_default=True,
            metavar="NAME",
            shell_complete=_complete_classifier,
            help="linear-svm, radial-svm, grid-search-svm, gmm, decision-tree, gaussian-nb, "
            "nearest-mean or nearest-neighbours.",
        ),
    ):
        command = option(command)
    return command


@click.group("classify")
def command() -> None:
    """Name the people in photos.

    train learns people from a represent folder, infer names them in photos, and evaluate
    measures how well that works, for strangers too.
    """


@command.command("train")
@click.argument("reps", type=options.EXISTING_FOLDER)
@click.option(
    "-o",
    "--output",
    type=options.NEW_FILE,
    metavar="FILE",
    help="File to write; default: REPS/classifier.safetensors.",
)
@click.option(
    "--xmp",
    is_flag=True,
    help="Take the names from face regions in the photos' XMP, sidecars or inside, instead of "
    "from their folders.",
)
@click.option(
    "--strangers",
    type=options.EXISTING_FOLDER,
    metavar="REPS",
    help="Represent folder of other people, on whom the threshold for unknown faces is calibrated; "
    "for fewer than five people of your own.",
)
@_training_options
@options.model_option
@click.option(
    "--weights",
    type=options.WEIGHTS,
    help="Weights file of the network that made REPS, instead of the published weights.",
)
@options.json_option
@options.quiet_option
def train(
    reps: Path,
    output: Path | None,
    xmp: bool,
    strangers: Path | None,
    model: str | None,
    weights: Path | None,
    kind: str,
    lda_dim: int | None,
    fpir: float,
    as_json: bool,
) -> None:
    """Train a classifier on the people of a represent folder, named after their folders.

    Prints the cross-validated accuracy. A face that is not similar enough to any person is
    unknown; that threshold is calibrated on people held out of the training.

    A folder that OpenFace wrote does not say which network made it: give that with --model.
    """
    from facetool.cli.tables.classify import train_text
    from facetool.pipeline import classify_train

    settings = classify_train.ClassifierSettings(
        kind=classify_train.find_kind(kind), lda_dim=lda_dim, fpir=fpir
    )
    network = None
    if model is not None or weights is not None:
        from facetool.weights.load import load_network

        network = load_network(model, weights)
    result = classify_train.train_classifier(
        reps,
        output or reps / classify_train.CLASSIFIER_FILE,
        settings,
        xmp=xmp,
        strangers=strangers,
        network=network,
    )
    _warn(result.warnings)
    if as_json:
        print_json(result.as_dict())
        return
    click.echo(train_text(result.as_dict()))
    if result.classifier.provenance.network:
        click.echo(f"name people with: facetool classify infer {result.file} PHOTO…", err=True)


@command.command("infer")
@click.argument("classifier", type=options.FILE)
@click.argument("images", nargs=-1, required=True, type=options.ANY_PATH, metavar="IMAGE...")
@click.option("--multi", is_flag=True, help="Name every face, not only the largest.")
@detection_options
@click.option(
    "--annotate",
    type=options.NEW_FOLDER,
    metavar="DIR",
    help="Write copies of the photos with boxes, names and confidences.",
)
@click.option(
    "--xmp",
    is_flag=True,
    help="Write the names as face regions into an XMP sidecar beside each photo, for digiKam, "
    "Lightroom or Immich.",
)
@click.option(
    "--write-xmp-inside",
    is_flag=True,
    help="Write them into the photos themselves, JPEG and PNG files, whose other bytes stay.",
)
@options.html_option("the faces under their names")
@options.every_option
@options.null_option
@options.weights_option
@options.device_option
@options.engine_option
@options.json_option
@click.option(
    "--json-lines",
    is_flag=True,
    help="Print each photo as a line of JSON as soon as it is done.",
)
@options.quiet_option
def infer(
    classifier: Path,
    images: tuple[Path, ...],
    multi: bool,
    detection: DetectionRequest,
    annotate: Path | None,
    xmp: bool,
    write_xmp_inside: bool,
    html: Path | None,
    every: float | str | None,
    null: bool,
    weights: options.WeightsRequest,
    device: str,
    engine: str,
    as_json: bool,
    json_lines: bool,
) -> int:
    """Name the people in photos and videos.

    IMAGE is a photo, a video, a folder of photos, a text file with a path per line, or - for such
    a list on stdin.

    Prints each face with its name or "unknown", the confidence and the box, from left to
    right. A face is printed once for each time it is in sight in a video, with the second of the
    best frame, those of the first and the last, and the box in the best; nothing is written beside
    videos or as a copy of them. A photo that cannot be used is reported on stderr, and the exit
    code is then 1.
    """
    import_pytorch()
    from facetool.classification.classifier import UNKNOWN
    from facetool.classification.classifier_file import load_classifier
    from facetool.cli.tables.classify import InferTable
    from facetool.pipeline.classify_infer import InferSettings, name_people

    made = load_classifier(classifier)
    network = weights.load_for(made)
    detector = detection.detector or made.recipe.crop.detector
    settings = InferSettings(
        multi=multi,
        detector=detection.detector,
        detection=detection.settings(detector),
        annotate=annotate,
        device=device,
        null=null,
        xmp=xmp,
        xmp_inside=write_xmp_inside,
        engine=engine,
        every=every,
        keep_crops=html is not None,
    )
    table = InferTable([*made.people, UNKNOWN])
    each = _print_line if json_lines else None if as_json else table.add
    photos, report = name_people(made, images, network, settings, each=each)
    if as_json and not json_lines:
        print_json([photo.as_dict() for photo in photos])
    if made.threshold.source == "none":
        _warn(["this classifier has no rejection threshold, so strangers get a name as well"])
    if html is not None:
        from facetool.reports.classify_infer import classify_infer_report

        classify_infer_report(photos, html)
    if annotate is not None and any(annotate.glob("*.png")):
        click.echo(f"annotated copies: {annotate}", err=True)
    return report.exit_code


def _print_line(photo: NamedPhoto) -> None:
    print_json(photo.as_dict(), indent=None)


@command.command("evaluate")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="[CLASSIFIER] REPS",
    type=options.EXISTING,
)
@click.option(
    "--unknown",
    type=options.EXISTING,
    metavar="DIR-OR-LIST",
    help="Strangers: another represent folder, or a text file naming people of REPS.",
)
@click.option(
    "--output",
    type=options.NEW_FOLDER,
    metavar="DIR",
    help="Folder for the results; default: REPS.",
)
@_training_options
@options.html_option("the errors, side by side with those they were taken for")
@options.json_option
@options.quiet_option
@click.pass_context
def evaluate(
    context: click.Context,
    paths: tuple[Path, ...],
    unknown: Path | None,
    output: Path | None,
    kind: str,
    lda_dim: int | None,
    fpir: float,
    html: Path | None,
    as_json: bool,
) -> None:
    """Measure how well people are named and strangers recognised as such.

    With a CLASSIFIER file, on the images of REPS, which it should not have been trained on;
    people that it does not know are strangers. Without one, by cross-validation: five times, a
    classifier is trained on four fifths of the images in REPS and tested on the others.

    Writes classification.json and, for 50 people or fewer, confusion.png.
    """
    from facetool.cli.tables.classify import evaluate_text
    from facetool.pipeline import classify_evaluate, classify_train

    *files, reps = paths
    if len(files) > 1 or not reps.is_dir() or any(not file.is_file() for file in files):
        raise click.UsageError(
            "give a represent folder, or a classifier file and a represent folder"
        )
    given = click.core.ParameterSource.COMMANDLINE
    if files and any(
        context.get_parameter_source(name) == given for name in ("kind", "lda_dim", "fpir")
    ):
        raise click.UsageError(
            "--classifier, --lda-dim and --fpir belong to the training, and the classifier is "
            "trained already; leave them out, or the file"
        )
    settings = classify_train.ClassifierSettings(
        kind=classify_train.find_kind(kind), lda_dim=lda_dim, fpir=fpir
    )
    result = classify_evaluate.evaluate_classifier(
        reps,
        classifier=files[0] if files else None,
        unknown=unknown,
        settings=settings,
        output=output,
    )
    _warn(result.warnings)
    if html is not None:
        from facetool.reports.classify_evaluate import classify_evaluate_report

        classify_evaluate_report(result, reps, html)
    if as_json:
        print_json(result.as_dict())
        return
    click.echo(evaluate_text(result.as_dict()))
    click.echo(f"written to {output or reps}", err=True)


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        text = error_text(FacetoolError(warning, "model=NAME", "strangers=REPS", "fpir=X"))
        click.echo(f"warning: {text}", err=True)
