"""``facetool train``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from facetool.cli import options
from facetool.networks.dtypes import DTYPES
from facetool.training.choices import OPTIMIZERS, SCHEDULES
from facetool.training.losses import FORMER_NAMES, LOSSES


def _assignments(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    found = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"expected KEY=VALUE, got {value!r}")
        try:
            found[key.replace("-", "_")] = json.loads(text)
        except ValueError:
            found[key.replace("-", "_")] = text
    return found


def _steps(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...]:
    try:
        return tuple(int(step) for step in value.split(",")) if value else ()
    except ValueError:
        raise click.BadParameter(f"expected whole numbers like 1000,2000, got {value!r}") from None


@click.command("train")
@click.argument("data", type=options.IMAGES)
@click.argument("output", type=options.NEW_FOLDER)
@click.option("--network", default="", metavar="NAME", help="Architecture to train from scratch.")
@click.option(
    "--network-option",
    "network_options",
    multiple=True,
    callback=_assignments,
    metavar="KEY=VALUE",
    help="Set an argument of the architecture, e.g. embedding_size=256; may be repeated.",
)
@click.option(
    "--from",
    "start",
    type=options.PATH_OR_NAME,
    metavar="NAME|FILE",
    help="Weights to fine-tune instead: a catalogue name or a weights file.",
)
@options.recipe_options
@click.option(
    "--loss",
    type=click.Choice([*LOSSES, *FORMER_NAMES]),
    metavar=f"[{'|'.join(LOSSES)}]",
    required=True,
    help="Loss function.",
)
@click.option(
    "--loss-option",
    "loss_options",
    multiple=True,
    callback=_assignments,
    metavar="KEY=VALUE",
    help="Set a parameter of the loss, e.g. margin=0.35 or scale=64; may be repeated.",
)
@click.option("--steps", type=click.IntRange(1), required=True, help="Number of weight updates.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    help="Images per forward pass (and per process under torchrun).",
)
@click.option(
    "--people",
    type=click.IntRange(2),
    default=15,
    show_default=True,
    help="With a triplet loss: people per batch.",
)
@click.option(
    "--images-per-person",
    type=click.IntRange(2),
    default=20,
    show_default=True,
    help="With a triplet loss: images of each person in a batch.",
)
@click.option(
    "--accumulate",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Forward passes per weight update (gradient accumulation).",
)
@click.option(
    "--optimizer",
    type=click.Choice(OPTIMIZERS),
    default="sgd",
    show_default=True,
    help="Optimiser.",
)
@click.option(
    "--lr",
    "learning_rate",
    type=options.Number(0, min_open=True),
    default=0.1,
    show_default=True,
    help="Peak learning rate.",
)
@click.option(
    "--momentum",
    type=options.Number(0, 1),
    default=0.9,
    show_default=True,
    help="Momentum of SGD.",
)
@click.option(
    "--weight-decay",
    type=options.Number(0),
    default=5e-4,
    show_default=True,
    help="Weight decay of kernels and matrices; biases, batch normalisation and PReLU are exempt.",
)
@click.option(
    "--decay-all",
    is_flag=True,
    help="Exempt nothing from weight decay, as InsightFace did in 2018.",
)
@click.option(
    "--classifier-decay",
    type=options.Number(0),
    default=1.0,
    show_default=True,
    metavar="FACTOR",
    help="Weight decay of the classifier, as a multiple of --weight-decay.",
)
@click.option(
    "--schedule",
    type=click.Choice(SCHEDULES),
    default="constant",
    show_default=True,
    help="Learning rate schedule.",
)
@click.option(
    "--lr-steps",
    "milestones",
    callback=_steps,
    metavar="N,N...",
    help="With 'step': the steps after which the learning rate falls.",
)
@click.option(
    "--lr-factor",
    "factor",
    type=options.Number(0, 1),
    default=0.1,
    show_default=True,
    help="With 'step': what the learning rate is multiplied by each time.",
)
@click.option(
    "--lr-power",
    "power",
    type=options.Number(0, min_open=True),
    default=2.0,
    show_default=True,
    help="With 'polynomial': exponent of (1 - progress).",
)
@click.option(
    "--warmup",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Steps of linear warm-up of the learning rate.",
)
@click.option(
    "--clip-norm",
    type=options.Number(0),
    default=0.0,
    show_default=True,
    help="Clip the gradient to this norm; 0 turns clipping off.",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    help="Precision of the forward and backward passes; weights stay float32.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@click.option(
    "--eval",
    "bins",
    multiple=True,
    type=options.IMAGES,
    metavar="FILE.bin|FOLDER",
    help="Verification set of InsightFace to evaluate on, or a folder of such; may be repeated.  "
    "[default: those in DATA, if it is the folder of a .rec file]",
)
@click.option(
    "--eval-pairs",
    type=options.FILE,
    metavar="FILE",
    help="Pairs to evaluate on, in LFW's format, with their crops in --eval-crops.",
)
@click.option(
    "--eval-crops", type=options.EXISTING_FOLDER, help="Aligned crops of the pairs in --eval-pairs."
)
@click.option(
    "--eval-every",
    "evaluate_every",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="Steps between evaluations.",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Steps between checkpoints.",
)
@click.option(
    "--log-every",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Steps between rows of the log.",
)
@click.option(
    "--snapshots",
    type=click.IntRange(2),
    metavar="N",
    help="Look N times at the embeddings of ten people, from before to after training, and write "
    "them as an animation, snapshots.gif.",
)
@options.device_option
@click.option("--compile", "compiled", is_flag=True, help="Compile the network with torch.compile.")
@click.option(
    "--shard-classifier/--no-shard-classifier",
    default=None,
    help="With several processes, split the classifier's rows over them (Partial FC).  "
    "[default: above 100,000 identities]",
)
@options.jobs_option
@click.option("--any-crop", is_flag=True, help="Accept crops made by another recipe.")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run in OUTPUT, which must exist; --steps may be changed.",
)
@click.option("--overwrite", is_flag=True, help="Start over if OUTPUT already holds a run.")
@options.quiet_option
def command(
    data: Path,
    output: Path,
    bins: tuple[Path, ...],
    start: str | None,
    eval_pairs: Path | None,
    eval_crops: Path | None,
    evaluate_every: int,
    checkpoint_every: int,
    log_every: int,
    snapshots: int | None,
    device: str,
    compiled: bool,
    shard_classifier: bool | None,
    jobs: int | None,
    any_crop: bool,
    resume: bool,
    overwrite: bool,
    weights: options.WeightsRequest,
    **run: Any,
) -> int:
    """Train a network on the identities under DATA: a folder of crops or a .rec file.

    DATA may also be the folder of a data set of InsightFace: train.rec, train.idx, property, and
    verification sets (.bin), on which the network is evaluated.

    Writes model.safetensors, which 'represent --weights' takes, best.safetensors (of the best
    evaluation), log.csv, training.png and checkpoint.pt to OUTPUT. The same command continues a
    run that was interrupted, by Ctrl-C or SIGTERM too. On several GPUs:
    torchrun --nproc-per-node N -m facetool train ...
    """
    from facetool.pipeline.train import TrainSettings, train
    from facetool.training.config import TrainConfig
    from facetool.training.verification import collect_pairs, sets_beside

    stated = {} if weights.recipe is None else weights.recipe.as_dict()
    config = TrainConfig(**run, start=start or "", start_recipe=stated, start_output=weights.output)
    settings = TrainSettings(
        device=device,
        pairs=collect_pairs(
            bins or ([] if eval_pairs else sets_beside(data)), eval_pairs, eval_crops
        ),
        evaluate_every=evaluate_every,
        checkpoint_every=checkpoint_every,
        log_every=log_every,
        snapshots=snapshots,
        jobs=jobs,
        compiled=compiled,
        shard_classifier=shard_classifier,
        any_crop=any_crop,
        resume=resume,
        overwrite=overwrite,
    )
    report = train(data, output, config, settings)
    if report.counts:  # of several processes, the first one's
        print(f"{output}: {report}", file=sys.stderr)
    return report.exit_code
