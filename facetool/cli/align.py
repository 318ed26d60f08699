"""``facetool align``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facetool.alignment.recipes import LANDMARK_SETS, Crop
from facetool.cli import options
from facetool.cli.completion import complete_model
from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.files.align_description import ON_NO_FACE
from facetool.weights.catalogue import DEFAULT, crop_of


@click.command("align")
@click.argument("input", type=options.PHOTOS)
@click.argument("output", type=options.NEW_FOLDER)
@click.option(
    "--model",
    metavar="NAME",
    shell_complete=complete_model,
    help="Network the crops are for, as ARCH or ARCH.TAG; see 'facetool models list'. "
    f"Default: the one in --weights, or else {DEFAULT}.",
)
@click.option(
    "--weights", type=options.WEIGHTS, help="Weights file the crops are for, if it is your own."
)
@click.option(
    "--landmarks", type=click.Choice(LANDMARK_SETS), help="Landmarks that the crop is aligned by."
)
@click.option(
    "--size", type=click.IntRange(16, 4096), help="Width and height of the crop in pixels."
)
@detection_options
@options.predictor_option
@options.select_option("crop")
@click.option(
    "--on-no-face",
    type=click.Choice(ON_NO_FACE),
    default="skip",
    show_default=True,
    help="What to do with a photo without a face: no crop, crop its centre, or count it as failed.",
)
@click.option(
    "--fallback",
    type=options.EXISTING_FOLDER,
    help="Folder whose image of the same name replaces a photo without a face, or one that cannot "
    "be read; where it has none, --on-no-face applies.",
)
@options.strict_option
@click.option(
    "--min-face",
    type=options.Number(0),
    default=0,
    metavar="PIXELS",
    help="Count faces whose box has a shorter edge than this as missed.",
)
@click.option(
    "--min-sharpness",
    type=options.Number(0),
    default=0,
    metavar="X",
    help="Count faces as missed whose sharpness in align.csv would be below this.",
)
@options.every_option
@options.null_option
@options.device_option
@options.jobs_option
@click.option(
    "--into",
    default="",
    metavar="NAME",
    help="Put these crops under OUTPUT/NAME, beside those of another INPUT.",
)
@click.option(
    "--check",
    type=click.Choice(["time", "hash"]),
    default="time",
    show_default=True,
    help="How to tell which photos changed: by size and modification time, or by content.",
)
@click.option("--keep-gone", is_flag=True, help="Keep the crops of photos that no longer exist.")
@click.option("--overwrite", is_flag=True, help="Start over if OUTPUT already holds crops.")
@click.option(
    "--explain",
    type=options.NEW_FILE,
    metavar="FILE",
    help="Plot box, landmarks, transform and crop of the first faces to FILE, a .png or .pdf.",
)
@options.html_option("photos that failed, have no face or several, and faces of videos")
@options.quiet_option
def command(
    input: Path,
    output: Path,
    model: str | None,
    weights: Path | None,
    landmarks: str | None,
    size: int | None,
    detection: DetectionRequest,
    predictor: str | None,
    select: str,
    on_no_face: str,
    fallback: Path | None,
    strict: bool,
    min_face: float,
    min_sharpness: float,
    every: float | str | None,
    null: bool,
    device: str,
    jobs: int | None,
    into: str,
    check: str,
    keep_gone: bool,
    overwrite: bool,
    explain: Path | None,
    html: Path | None,
) -> int:
    """Cut the faces out of the photos under INPUT, and out of videos.

    INPUT is a folder, a .rec file, a photo, a video, a text file with a path per line, or - for
    such a list on stdin. Files are recognised by content, not by suffix; raw photos are not read.

    Writes OUTPUT/<person>/<image>.png and OUTPUT/align.csv, one row per face or missed photo.
    A face is cut out once for each time it is in sight in a video, where its score is highest, as
    OUTPUT/<person>/<video>.00h01m02.500s.png.
    Each network has its own crop recipe, so give the --model or --weights that will represent the
    crops.

    Running it again brings OUTPUT up to date: new and changed photos are processed, failed ones
    are retried, and crops of photos that no longer exist are removed. An interrupted run
    continues where it stopped.
    """
    from facetool.alignment.recipes import override
    from facetool.pipeline.align import AlignSettings, align

    if explain is not None:
        from facetool.plots.style import check_name

        check_name(explain)
        if str(input) == "-":
            raise click.UsageError("--explain reads the photos once more: give them as files")
    crop = override(_crop_for(weights, model), landmarks, size, detection.detector)
    settings = AlignSettings(
        crop=crop,
        detection=detection.settings(crop.detector),
        select=select,
        on_no_face=on_no_face,
        fallback=fallback,
        predictor=int(predictor) if predictor else None,
        strict=strict,
        min_face=min_face,
        min_sharpness=min_sharpness,
        every=every,
    )
    report = align(
        input,
        output,
        settings,
        jobs=jobs,
        overwrite=overwrite,
        device=device,
        null=null,
        into=into,
        by_content=check == "hash",
        keep_gone=keep_gone,
    )
    print(f"{output}: {report}", file=sys.stderr)
    if explain is not None:
        from facetool.pipeline.explain import explain_alignment

        explain_alignment(input, output, crop, explain, into=into)
    if html is not None:
        from facetool.reports.align import align_report

        align_report(output, html)
    return report.exit_code


def _crop_for(weights: Path | None, model: str | None) -> Crop:
    if weights is None:
        return crop_of(DEFAULT if model is None else model)
    from facetool.weights.load import load_network

    recipe = load_network(model, weights).info.recipe
    if recipe is None:
        raise click.UsageError(
            f"{weights} does not say how faces are cut out for it; give --landmarks and --size "
            "instead of --weights"
        )
    return recipe.crop
