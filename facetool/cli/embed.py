"""``facetool embed``."""

from __future__ import annotations

import re
import sys

import click

from facetool.cli import options
from facetool.cli.detection_options import DetectionRequest, detection_options
from facetool.cli.pytorch import import_pytorch
from facetool.files.align_description import ON_NO_FACE
from facetool.files.embed_plan import PER_SHARD


def _parse_shard(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", value or "0/1")
    if found is None or int(found[1]) >= int(found[2]):
        raise click.BadParameter(f"{value!r} is not I/N with I from 0 to N - 1")
    return int(found[1]), int(found[2])


@click.command("embed")
@click.argument("photos", type=options.PATH_OR_NAME)
@click.argument("out", type=options.PATH_OR_NAME)
@options.model_option
@options.weights_option
@detection_options
@options.predictor_option
@options.select_option("embed")
@click.option(
    "--on-no-face",
    type=click.Choice(ON_NO_FACE),
    default="skip",
    show_default=True,
    help="What to do with a photo without a face: no row of a face, embed its centre, or count it "
    "as failed.",
)
@options.strict_option
@options.null_option
@options.batch_size_option
@options.device_option
@options.dtype_option
@options.engine_option
@options.flip_option
@click.option(
    "--shard",
    metavar="I/N",
    callback=_parse_shard,
    help="Work on every N-th shard only, from the I-th: one of N jobs, counted from 0.",
)
@click.option(
    "--ray",
    is_flag=False,
    flag_value="auto",
    metavar="[ADDRESS]",
    help="Work on a Ray cluster: the one at ADDRESS, or the one that Ray knows of, or else this "
    "machine. Give it last, or as --ray=ADDRESS.",
)
@click.option(
    "--per-shard",
    type=click.IntRange(1),
    help=f"Photos in a shard, as OUT is begun with.  [default: {PER_SHARD}]",
)
@click.option("--keep-crops", is_flag=True, help="Keep the crops in the shards, as PNG.")
@options.jobs_option
@options.quiet_option
def command(
    photos: str,
    out: str,
    model: str | None,
    weights: options.WeightsRequest,
    detection: DetectionRequest,
    predictor: str | None,
    select: str,
    on_no_face: str,
    strict: bool,
    null: bool,
    batch_size: int,
    device: str,
    dtype: str,
    engine: str,
    flip: str,
    shard: tuple[int, int],
    ray: str | None,
    per_shard: int | None,
    keep_crops: bool,
    jobs: int | None,
) -> int:
    """Find the faces in PHOTOS and write their embeddings to OUT, in one pass.

    PHOTOS is a folder, a .rec file, a photo, a text file with a path per line, - for such a list
    on stdin, a URL such as s3://bucket/photos, or tar archives, such as faces-{000..127}.tar. OUT
    is a folder or a URL.

    The first run writes OUT/plan.json: the list of the photos, in shards, and the settings. Every
    shard becomes a Parquet file with a row for each face and for each photo without one. Shards
    that are there are checked and not made again, so that an interrupted run continues, and
    several machines share the work: with --ray, or on Slurm and the like with --shard. Photos
    that are added later get a plan of their own. With --ray, --jobs is the number of CPUs that a
    shard takes (default: 1), and with --device cuda it takes a GPU; --device cuda:all uses every
    GPU of this machine so, without --ray.

    merge turns OUT into a folder like represent's; lfw-eval, identify, search, classify train,
    cluster, outliers and embed-plot read it as it is.
    """
    import_pytorch()
    from facetool.alignment.recipes import override
    from facetool.pipeline.align import AlignSettings
    from facetool.pipeline.embed import EmbedSettings, embed
    from facetool.pipeline.represent import RepresentSettings

    network = weights.load(model)
    crop = override(network.recipe.crop, None, None, detection.detector)
    settings = EmbedSettings(
        align=AlignSettings(
            crop=crop,
            detection=detection.settings(crop.detector),
            select=select,
            on_no_face=on_no_face,
            predictor=int(predictor) if predictor else None,
            strict=strict,
        ),
        represent=RepresentSettings(
            device=device,
            dtype=dtype,
            flip=flip,
            batch_size=batch_size,
            engine=engine,
        ),
        per_shard=per_shard,
        keep_crops=keep_crops,
    )
    report = embed(photos, out, network, settings, shard=shard, ray=ray, jobs=jobs, null=null)
    print(f"{out}: {report}", file=sys.stderr)
    return report.exit_code
