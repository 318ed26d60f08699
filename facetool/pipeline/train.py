"""The ``train`` stage: from aligned crops with identities to a network's weights."""

from __future__ import annotations

import hashlib
import math
import signal
import threading
import time
from collections import ChainMap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeGuard

import torch
from torch import nn

from facetool._version import __version__
from facetool.alignment.stated_recipe import StatedRecipe
from facetool.embedding.crop_check import check_manifest, or_any_crop
from facetool.errors import FormatError, UsageError, one_line
from facetool.files.lock import sole_writer
from facetool.files.output_file import check_folder
from facetool.files.text import counted
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import ProgressBar, listener, progress_bar
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import resolve_device
from facetool.networks.registry import create
from facetool.pipeline.animate_snapshots import animate_snapshots
from facetool.plots import style
from facetool.plots.training import training_figure
from facetool.training.checkpoint import (
    load_checkpoint,
    random_state,
    save_checkpoint,
    set_random_state,
)
from facetool.training.config import TrainConfig
from facetool.training.data import IdentitySampler, Loader, PlainSampler, Sampler, TrainingSet
from facetool.training.distributed import Process, init_distributed
from facetool.training.log import LogRow, TrainLog
from facetool.training.losses import LOSSES, create_loss
from facetool.training.losses.base import ClassificationLoss
from facetool.training.losses.sharded import SHARDED_ABOVE, ShardedClassifier
from facetool.training.meter import Meter
from facetool.training.snapshots import Snapshots
from facetool.training.stepper import Stepper
from facetool.training.verification import PairSet, verify_pairs
from facetool.weights import safetensors
from facetool.weights.load import load_network

CHECKPOINT = "checkpoint.pt"
MODEL = "model.safetensors"
BEST = "best.safetensors"
LOG = "log.csv"
PLOT = "training.png"
EVENTS = "events"
SNAPSHOTS = "snapshots"
ANIMATION = "snapshots.gif"


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a run is carried out; none of it decides the resulting weights.

    Attributes:
        device: where to train: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; with torchrun, the kind
            of device.
        pairs: sets to verify on.
        evaluate_every: steps between evaluations; one follows the last step in any case.
        checkpoint_every: steps between checkpoints.
        log_every: steps between rows of the log.
        snapshots: how often to look at the embeddings, the first time before training and the
            last time after it, for ``snapshots.gif``; 2 or more.
        jobs: threads that decode crops, all processes of this machine together.
        compiled: run the network through ``torch.compile``.
        shard_classifier: split the classifier's rows over the processes, so that each keeps and
            scores its share of the identities only; unless given, above 100,000 identities.
        any_crop: take crops that were made by another recipe.
        resume: insist that there is a run to continue; its number of steps may then differ.
        overwrite: start over where there is one.
    """

    device: str | torch.device = "auto"
    pairs: Sequence[PairSet] = ()
    evaluate_every: int = 2000
    checkpoint_every: int = 500
    log_every: int = 20
    snapshots: int | None = None
    jobs: int | None = None
    compiled: bool = False
    shard_classifier: bool | None = None
    any_crop: bool = False
    resume: bool = False
    overwrite: bool = False


def train(
    data: str | Path, output: str | Path, config: TrainConfig, settings: TrainSettings
) -> Report:
    """Train a network on the identities under ``data``.

    Writes ``model.safetensors``; with sets to verify on, ``best.safetensors``, the network of
    the best evaluation; ``log.csv``, ``training.png`` and ``checkpoint.pt``; with snapshots, an
    animation of them. A run that was stopped is continued by the next one with the same settings;
    a finished one is left as it is.

    Started by torchrun, each process takes its share of every batch size given: the batches of
    all of them together make one update.

    Args:
        data: folder ``<person>/<crop>`` or ``.rec`` file.
        output: where the files go.
        config: what decides the outcome.
        settings: the rest.

    Returns:
        What became of steps and images, in the first process; nothing in the others.

    Raises:
        UsageError: data, output and settings do not go together.
        FacetoolError: the loss is no longer a finite number.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint has been written.
        OutputError: a file cannot be written.
    """
    data, output = Path(data), Path(output)
    check_folder(output, data)
    with ExitStack() as stack:
        device = resolve_device(settings.device, mps=False)
        process = stack.enter_context(init_distributed(device))
        if process.first:
            stack.enter_context(sole_writer(output))
        return _Run(data, output, config, settings, process).run()


class _Run:
    """One process's part of a run, from the first step or a checkpoint to the last."""

    def __init__(
        self,
        data: Path,
        output: Path,
        config: TrainConfig,
        settings: TrainSettings,
        process: Process,
    ) -> None:
        self._output = output
        self._config = config
        self._settings = settings
        self._process = process
        self._checkpoint = output / CHECKPOINT
        state = self._find_checkpoint()
        torch.manual_seed(config.seed)
        self._network = _create_network(config)
        self._data = TrainingSet(data)
        _check_crops(data, self._data, self._network, settings.any_crop)
        options = {"seed": config.seed, **config.loss_options}
        with _usage_errors(config.loss, config.loss_options):
            self._loss = create_loss(
                config.loss, self._network.info.embedding_size, self._data.classes, **options
            )
        if _is_sharded(self._loss, settings.shard_classifier, process):
            self._loss = ShardedClassifier(self._loss, process.rank, process.size)
        self._sampler = _create_sampler(config, self._data, process)
        self._stepper = Stepper(self._network, self._loss, config, process, settings.compiled)
        self._meter = Meter(process, scaled=config.dtype == "float16")
        self._threads = max((settings.jobs or available_cores()) // process.size, 1)
        self._snapshots: Snapshots | None = None
        if settings.snapshots and process.first:
            folder = output / SNAPSHOTS
            self._snapshots = Snapshots(folder, self._data, config.steps, settings.snapshots)
        self._step = 0
        self._best = 0.0
        torch.manual_seed(config.seed + process.rank)
        if state is not None:
            self._restore(state)

    def run(self) -> Report:
        """Train to the end."""
        config, process = self._config, self._process
        report = Report()
        if self._step >= config.steps and (self._output / MODEL).is_file():
            if process.first:
                report.done("steps already there", self._step)
            return report
        if process.first:
            for flaw in self._data.flaws:
                report.failed(flaw.what, flaw.reason, flaw.number)
        begun = self._step
        if process.first and not begun:
            for name in (CHECKPOINT, MODEL, BEST, PLOT):  # of a run that is overwritten
                (self._output / name).unlink(missing_ok=True)
            if self._snapshots is not None:
                self._snapshots.clear()
        with ExitStack() as stack:
            log = stack.enter_context(self._open_log()) if process.first else None
            stop = stack.enter_context(_stop_requests())
            if log is not None and self._step == 0 and self._settings.pairs:
                log.add(self._before_training())
            if self._step == 0:
                self._look()
            followed = progress_bar("train", config.steps, self._step, unit="step")
            bar = stack.enter_context(followed if process.first else nullcontext(ProgressBar()))
            batches = stack.enter_context(
                Loader(
                    self._data,
                    self._sampler.stream(self._step * config.accumulate),
                    self._threads,
                    config.seed,
                    pinned=process.device.type == "cuda",
                )
            )
            clock = time.perf_counter()
            while self._step < config.steps:
                passes = [next(batches) for _ in range(config.accumulate)]
                rate = config.rate.at(self._step)
                result = self._stepper.step([(b.pixels, b.labels) for b in passes], rate)
                self._step += 1
                now = time.perf_counter()
                images = sum(len(b.labels) for b in passes)
                skipped = sum(b.skipped for b in passes)
                self._meter.add(self._step, rate, result, images, skipped, now - clock)
                clock = now
                stopped = process.any(stop.is_set())
                if self._pause(log, rate, stopped, bar):
                    clock = time.perf_counter()
                bar.update()
                if stopped:
                    raise KeyboardInterrupt
            for name, reason in ChainMap(*process.gather(batches.damaged)).items():
                report.failed(name, reason)
            if log is not None:
                self._finish(log.rows)
        if process.first:
            report.done("steps", self._step - begun)
        return report

    def _find_checkpoint(self) -> dict[str, Any] | None:
        """The checkpoint to continue from, if this is the run that wrote it."""
        settings = self._settings
        if settings.overwrite or not self._checkpoint.is_file():
            if settings.resume:
                raise UsageError(f"there is no {self._checkpoint} to resume from")
            return None
        state = load_checkpoint(self._checkpoint)
        ignored = ("steps",) if settings.resume else ()
        difference = self._config.difference(state["config"], ignored)
        if difference:
            raise UsageError(
                f"{self._output} holds a run with other settings ({difference}); "
                "choose another OUTPUT or start over with overwrite=True",
                "overwrite=True",
            )
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        """Continue where a checkpoint was written."""
        progress = state["progress"]
        if progress.get("data") != self._describe_data():
            raise UsageError(
                f"{self._output} holds a run on other data; choose another OUTPUT or start over "
                "with overwrite=True",
                "overwrite=True",
            )
        if len(state["random"]) != self._process.size:
            raise UsageError(
                f"{self._checkpoint} is of a run in "
                f"{counted(len(state['random']), 'process', 'processes')}, this one has "
                f"{self._process.size}"
            )
        try:
            self._stepper.load_state(state)
            self._meter.load_state(progress["meter"])
            self._best = progress["best"]
            set_random_state(state["random"][self._process.rank], self._process.device)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = one_line(error)
            raise FormatError(f"{self._checkpoint} does not fit its own run: {reason}") from error
        self._step = state["step"]

    def _describe_data(self) -> dict[str, Any]:
        """What tells one training set from another."""
        labels = hashlib.sha256(self._data.labels.tobytes()).hexdigest()
        return {"images": len(self._data), "people": self._data.classes, "labels": labels}

    def _open_log(self) -> TrainLog:
        names = [pairs.name for pairs in self._settings.pairs]
        output = self._output
        return TrainLog(output / LOG, names, self._step, output / EVENTS)

    def _pause(self, log: TrainLog | None, rate: float, stopped: bool, bar: Any) -> bool:
        """Report, verify and write a checkpoint where it is time to; whether that took time."""
        settings, step = self._settings, self._step
        looked = self._look()
        last = step >= self._config.steps
        evaluating = bool(settings.pairs) and (last or step % settings.evaluate_every == 0)
        reporting = evaluating or last or step % settings.log_every == 0
        keeping = stopped or last or step % settings.checkpoint_every == 0
        if not (reporting or keeping):
            return looked
        self._meter.read()
        if reporting:
            metrics = self._meter.report()
            row = LogRow(
                step,
                step * self._config.accumulate / len(self._sampler),
                learning_rate=rate,
                skipped=self._meter.skipped,
                verification=self._verify() if evaluating and self._process.first else {},
                **metrics,
            )
            bar.describe(
                f"loss={row.loss:.3f}, accuracy={row.accuracy:.3f}, rate={rate:.2g}, "
                f"speed={row.images_per_second:.0f} images/s"
            )
            if log is not None:
                log.add(row)
                self._keep_best(row)
        if keeping:
            self._write_checkpoint()
        return True

    def _before_training(self) -> LogRow:
        """What the untrained network, or the weights to start from, are worth."""
        unknown = math.nan
        accuracies = self._verify()
        return LogRow(
            0, 0.0, unknown, unknown, 0.0, self._config.rate.at(0), unknown, unknown, 0, accuracies
        )

    def _verify(self) -> dict[str, float]:
        settings = self._settings
        accuracies = {
            pairs.name: verify_pairs(
                self._network, pairs, self._process.device, self._threads * self._process.size
            ).accuracy
            for pairs in settings.pairs
        }
        text = ", ".join(f"{name} {value:.4f}" for name, value in accuracies.items())
        listener().remark(f"step {self._step:,}", f"verification accuracy {text}")
        return accuracies

    def _look(self) -> bool:
        """Take a snapshot where it is time to; whether that took time."""
        if self._snapshots is None:
            return False
        jobs = self._threads * self._process.size
        return self._snapshots.take(self._network, self._process.device, self._step, jobs)

    def _keep_best(self, row: LogRow) -> None:
        if row.score > self._best:
            self._best = row.score
            self._save(BEST, row.verification)

    def _save(self, name: str, verification: dict[str, float]) -> None:
        """Write the network with everything that tells how it came about."""
        training = {
            "facetool": __version__,
            "torch": torch.__version__,
            "config": self._config.as_dict(),
            "data": self._describe_data(),
            "processes": self._process.size,
            "device": self._process.device.type,
            "step": self._step,
            "verification": verification,
        }
        safetensors.save_network(self._network, self._output / name, training=training)

    def _write_checkpoint(self) -> None:
        """Write the state after this step. Every process must take part."""
        random = self._process.gather(random_state(self._process.device))
        parts = self._stepper.state()
        if self._process.first:
            state = {
                "config": self._config.as_dict(),
                "step": self._step,
                **parts,
                "random": random,
                "progress": {
                    "data": self._describe_data(),
                    "meter": self._meter.state(),
                    "best": self._best,
                },
            }
            save_checkpoint(self._checkpoint, state)

    def _finish(self, rows: Sequence[LogRow]) -> None:
        """Write the result and the plot."""
        title = f"{self._network.info.architecture}, {self._config.loss}"
        style.save_plot(training_figure(rows, title), self._output / PLOT)
        if self._snapshots is not None:
            animate_snapshots(self._snapshots, self._config.steps, self._output / ANIMATION)
        self._save(MODEL, rows[-1].verification)


def _create_network(config: TrainConfig) -> EmbeddingNetwork:
    """A fresh network, or one with weights that are nobody else's memory and can be trained."""
    if not config.start:
        with _usage_errors(config.network, config.network_options):
            return create(config.network, **config.network_options)
    recipe = StatedRecipe.from_dict(config.start_recipe) if config.start_recipe else None
    network = load_network(config.start, recipe=recipe, output=config.start_output)
    for tensor in [*network.parameters(), *network.buffers()]:
        tensor.data = tensor.data.clone()
    # The threshold was that of other embeddings; what was assumed of the input is so from now on.
    network.info = replace(network.info, threshold=None, assumed=())
    return network


@contextmanager
def _usage_errors(name: str, options: dict[str, Any]) -> Iterator[None]:
    """Call by its name what a network or a loss says to options it cannot have."""
    try:
        yield
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = one_line(error)
        raise UsageError(f"{name} cannot be made with {options}: {reason}") from error


def _is_sharded(
    loss: nn.Module, wanted: bool | None, process: Process
) -> TypeGuard[ClassificationLoss]:
    """Whether the classifier's rows are split over the processes.

    Raises:
        UsageError: there is no classifier, and it is asked for.
    """
    if not isinstance(loss, ClassificationLoss):
        if wanted:
            raise UsageError("a triplet loss has no classifier to shard", "shard_classifier")
        return False
    return process.size > 1 and (loss.classes > SHARDED_ABOVE if wanted is None else wanted)


def _check_crops(
    folder: Path, data: TrainingSet, network: EmbeddingNetwork, any_crop: bool
) -> None:
    """Refuse what is known to be no crops for the network; on their size nobody can insist.

    Raises:
        UsageError: they are not.
    """
    crop = network.recipe.crop
    height, width = data.size
    if (height, width) == (crop.height, crop.width):
        if not any_crop:
            with or_any_crop():
                check_manifest(folder, network)
        return
    check_manifest(folder, network)  # it says how to make the right ones
    raise UsageError(
        f"{data.path} holds crops of {width}x{height} pixels, the network takes "
        f"{crop.width}x{crop.height}; make them with facetool align"
    )


def _create_sampler(config: TrainConfig, data: TrainingSet, process: Process) -> Sampler:
    """The sampler that the loss needs, for this process."""
    share = (config.seed, process.rank, process.size)
    if LOSSES[config.loss].sampler_kind == "identity":
        return IdentitySampler(data.labels, config.people, config.images_per_person, *share)
    return PlainSampler(data.labels, config.batch_size, *share)


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; the second one interrupts at once.

    The step at work is finished and a checkpoint written first. Outside the main thread, where
    Python lets nobody handle signals, the event stays as it is.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested
        return

    def request(number: int, frame: FrameType | None) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()

    before = {n: signal.signal(n, request) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
