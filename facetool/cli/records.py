"""``facetool records``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.output import print_json
from facetool.images.choices import ENCODINGS, QUALITIES

_overwrite = click.option("--overwrite", is_flag=True, help="Replace existing files.")


@click.group("records")
def command() -> None:
    """InsightFace's record files (.rec, .bin): pack, inspect, unpack.

    align and represent take a .rec file in place of a folder.
    """


@command.command("pack")
@click.argument("crops", type=options.IMAGES, metavar="FOLDER|LIST.lst")
@click.argument("output", type=options.NEW_FILE, metavar="OUT.rec")
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS),
    help="Re-encode all crops.  [default: files of crops as they are, crops cut from photos of "
    "a list as jpg]",
)
@click.option(
    "--quality",
    type=click.IntRange(0, 100),
    metavar="N",
    help="Of a jpg, 1 to 100; of a png its compression, 0 to 9.  "
    f"[default: {QUALITIES['jpg'][0]}; png {QUALITIES['png'][0]}]",
)
@click.option(
    "--shuffle",
    is_flag=False,
    flag_value=0,
    type=click.IntRange(0),
    metavar="[SEED]",
    help="Random order, in the layout of arcface_torch's shuffle_rec.py.",
)
@_overwrite
@options.quiet_option
def pack(
    crops: Path,
    output: Path,
    encoding: str | None,
    quality: int | None,
    shuffle: int | None,
    overwrite: bool,
) -> int:
    """Pack the crops FOLDER/<person>/<image>, or those of a list, for training.

    Writes OUT.rec, OUT.idx, OUT.lst and the file 'property' beside them, as InsightFace's
    face2rec2.py does. LIST.lst has the lines that face2rec2.py reads, <aligned>, <path>, <label>
    and perhaps a box and five points, or those that MXNet's im2rec writes, <number>, <label>,
    <path>, with tabs between.
    """
    from facetool.pipeline.records_pack import PackSettings
    from facetool.pipeline.records_pack import pack as pack_crops

    settings = PackSettings(
        encoding=encoding, quality=quality, shuffle=shuffle, overwrite=overwrite
    )
    report = pack_crops(crops, output, settings)
    print(f"{output}: {report}", file=sys.stderr)
    return report.exit_code


@command.command("unpack")
@click.argument("file", type=options.FILE, metavar="FILE.rec")
@click.argument("output", type=options.NEW_FOLDER)
@options.quiet_option
def unpack(file: Path, output: Path) -> int:
    """Write the images of a record file as OUTPUT/<label>/<key>.jpg."""
    from facetool.pipeline import records

    report = records.unpack(file, output)
    print(f"{output}: {report}", file=sys.stderr)
    return report.exit_code


@command.command("info")
@click.argument("file", type=options.FILE, metavar="FILE.rec")
@options.json_option
def info(file: Path, as_json: bool) -> int:
    """Describe a record file and check it for damage."""
    from facetool.cli.tables.records import records_text
    from facetool.pipeline import records

    found = records.describe(file).as_dict()
    if as_json:
        print_json(found)
    else:
        click.echo(records_text(found))
    return 1 if found["damaged"] else 0


@command.command("pack-pairs")
@click.argument("folder", type=options.EXISTING_FOLDER)
@click.argument("output", type=options.NEW_FILE, metavar="OUT.bin")
@click.option(
    "--pairs",
    type=options.FILE,
    required=True,
    help="LFW's pairs.txt, or pairs as CSV or as paths with a label.",
)
@click.option("--any-crop", is_flag=True, help="Accept images that are not known to be crops.")
@_overwrite
def pack_pairs(folder: Path, output: Path, pairs: Path, any_crop: bool, overwrite: bool) -> int:
    """Make a verification set for bin-eval from crops and a pairs file.

    The crops are FOLDER/<person>/<person>_NNNN.<suffix>, as in LFW.
    """
    from facetool.pipeline import records

    report = records.pack_pairs(folder, output, pairs, overwrite=overwrite, any_crop=any_crop)
    print(f"{output}: {report}", file=sys.stderr)
    return report.exit_code


@command.command("features")
@click.argument("reps", type=options.EXISTING, nargs=-1, required=True, metavar="REPS...")
@click.argument("output", type=options.NEW_FOLDER)
@click.option(
    "--algorithm",
    default="facetool",
    show_default=True,
    help="Last part of the file names, which MegaFace's tools expect.",
)
@click.option(
    "--crops",
    type=options.EXISTING_FOLDER,
    help="Crops that REPS are of; their align.csv tells the photos.  "
    "[default: the folder named in represent.json]",
)
@click.option(
    "--list",
    "listed",
    type=options.FILE,
    metavar="LIST",
    help="Write the images of a list, under its names, and name those without an embedding: "
    "facescrub_features_list.json and the like, or a text with a path per line.",
)
@click.option(
    "--remove",
    type=options.FILE,
    multiple=True,
    metavar="LIST",
    help="List of mislabelled images, such as facescrub_noises.txt; may be repeated.",
)
@click.option(
    "--distractors",
    is_flag=True,
    help="REPS are of distractors: with --remove, put listed ones out of reach.",
)
def features(
    reps: tuple[Path, ...],
    output: Path,
    algorithm: str,
    crops: Path | None,
    listed: Path | None,
    remove: tuple[Path, ...],
    distractors: bool,
) -> int:
    """Write embeddings as MegaFace's feature files, <photo>_<algorithm>.bin.

    REPS are represent folders or feature files; several, of the same crops by different
    networks, are concatenated. With --remove the files are those of InsightFace's
    remove_noises.py: a number more, and listed images replaced by their person's centre.
    """
    from facetool.pipeline.records_features import write_features

    report = write_features(
        reps,
        output,
        algorithm=algorithm,
        crops=crops,
        listed=listed,
        remove=remove,
        distractors=distractors,
    )
    print(f"{output}: {report}", file=sys.stderr)
    return report.exit_code
