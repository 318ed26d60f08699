"""``facetool align``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facetool.alignment.recipes import LANDMARK_SETS
from facetool.cli import options
from facetool.cli.completion import complete_model
from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.detection.options import SELECTIONS
from facetool.files.align_description import ON_NO_FACE
from facetool.weights.catalogue import DEFAULT, crop_of


@click.command("align")
@click.argument("input", type=options.PHOTOS)
@click.argument("output", type=options.NEW_FOLDER)
@click.option(
    "--model",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    shell_complete=complete_model,
    help="Network the crops are for, as ARCH or ARCH.TAG; 'facetool models list' shows them.",
)
@click.option("--landmarks", type=click.Choice(LANDMARK_SETS), help="Points the crop is made from.")
@click.option("--size", type=click.IntRange(16, 4096), help="Edge of the crop in pixels.")
@detection_options
@click.option(
    "--predictor",
    type=click.Choice(["5", "68"]),
    help="dlib's landmarks, instead of those the recipe or the detector comes with.",
)
@click.option(
    "--select",
    type=click.Choice(SELECTIONS),
    default="largest",
    show_default=True,
    help="Which faces of a photo to cut out.",
)
@click.option(
    "--on-no-face",
    type=click.Choice(ON_NO_FACE),
    default="skip",
    show_default=True,
    help="Photos without a face: no crop, a crop of the centre, or count as failed.",
)
@click.option(
    "--fallback",
    type=options.FOLDER,
    help="Folder whose same-named image stands in for a photo without a face.",
)
@click.option(
    "--strict", is_flag=True, help="Photos that lack their last bytes fail; else they are read."
)
@options.null_option
@options.device_option
@options.jobs_option
@click.option(
    "--into",
    default="",
    metavar="NAME",
    help="Keep these crops under NAME, beside those of another INPUT.",
)
@click.option(
    "--check",
    type=click.Choice(["time", "hash"]),
    default="time",
    show_default=True,
    help="How photos that changed are found: by size and time, or by their content.",
)
@click.option("--keep-gone", is_flag=True, help="Keep the crops of photos that are gone.")
@click.option("--overwrite", is_flag=True, help="Start over where OUTPUT holds crops already.")
@options.quiet_option
def command(
    input: Path,
    output: Path,
    model: str,
    landmarks: str | None,
    size: int | None,
    detection: DetectionRequest,
    predictor: str | None,
    select: str,
    on_no_face: str,
    fallback: Path | None,
    strict: bool,
    null: bool,
    device: str,
    jobs: int | None,
    into: str,
    check: str,
    keep_gone: bool,
    overwrite: bool,
) -> int:
    """Cut the faces out of the photos under INPUT.

    INPUT is a folder, a .rec file, a photo, a text file with a path per line, or - for such a
    list on stdin. What a file holds counts, not its suffix; raw photos and videos are not read.

    Writes OUTPUT/<person>/<image>.png and OUTPUT/align.csv, one row per face or missed photo.
    Each network has its own crop recipe, so give the --model that will represent the crops.

    Run again, it brings OUTPUT up to date: new and changed photos are done, those that failed
    are tried again, crops of photos that are gone are removed. A run that was stopped continues
    where it stopped.
    """
    from facetool.alignment.recipes import override
    from facetool.pipeline.align import AlignSettings, align

    crop = override(crop_of(model), landmarks, size, detection.detector)
    settings = AlignSettings(
        crop=crop,
        detection=detection.settings(crop.detector),
        select=select,
        on_no_face=on_no_face,
        fallback=fallback,
        predictor=int(predictor) if predictor else None,
        strict=strict,
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
    return report.exit_code
