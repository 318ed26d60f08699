"""What decides the outcome of a training run, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from facetool.errors import UsageError, check_choice
from facetool.networks.dtypes import DTYPES
from facetool.training.choices import OPTIMIZERS, SCHEDULES
from facetool.training.losses import FORMER_NAMES, LOSSES, find_loss
from facetool.training.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The settings of a run; the same ones on the same data and device give the same weights.

    Attributes:
        network: registry name, or ``""`` to take the architecture from ``start``.
        loss: name in :data:`facetool.training.losses.LOSSES`, or a former one, which is replaced.
        steps: updates of the weights.
        network_options: arguments of the network's factory, such as ``embedding_size``.
        loss_options: arguments of the loss, such as margins.
        start: weights to fine-tune: a catalogue name or a file, ``""`` for fresh ones.
        start_recipe: what is known of their input, as of
            :meth:`facetool.alignment.stated_recipe.StatedRecipe.as_dict`.
        start_output: their layer whose values are the embedding, ``""`` for the last.
        batch_size: images per forward pass in one process, for losses that sample plainly.
        people: people per forward pass, for losses that compare images of a batch.
        images_per_person: images of each of them.
        accumulate: forward and backward passes per update.
        optimizer: one of ``OPTIMIZERS``.
        learning_rate: the highest.
        momentum: of SGD.
        weight_decay: of kernels and matrices.
        decay_all: decay all other parameters too, as InsightFace's scripts of 2018 did.
        classifier_decay: weight decay of the classes' weights, as a multiple of
            ``weight_decay`` (``--fc7-wd-mult`` of InsightFace's ``train_softmax.py``).
        schedule: one of ``SCHEDULES``.
        milestones: steps after which the rate falls, for ``step``.
        factor: by which it falls.
        power: of ``polynomial``.
        warmup: steps of linear rise.
        clip_norm: largest norm of the gradient, 0 for any.
        dtype: one of ``DTYPES``, precision of the forward and backward pass; the weights and
            their updates are float32.
        seed: of initialisation, sampling, flips and dropout.

    Raises:
        UsageError: settings that contradict each other or make no sense.
    """

    network: str
    loss: str
    steps: int
    network_options: dict[str, Any] = field(default_factory=dict)
    loss_options: dict[str, Any] = field(default_factory=dict)
    start: str | Path = ""
    start_recipe: dict[str, Any] = field(default_factory=dict)
    start_output: str = ""
    batch_size: int = 128
    people: int = 15
    images_per_person: int = 20
    accumulate: int = 1
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_all: bool = False
    classifier_decay: float = 1.0
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    power: float = 2.0
    warmup: int = 0
    clip_norm: float = 0.0
    dtype: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", find_loss(self.loss).name)
        object.__setattr__(self, "start", str(self.start))  # as checkpoints keep it
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("dtype", self.dtype, DTYPES)
        if bool(self.network) == bool(self.start):
            raise UsageError("give either a network to train from scratch or weights to start from")
        if self.start and self.network_options:
            raise UsageError("the weights to start from say what the network is: no options to it")
        if (self.schedule == "step") != bool(self.milestones):
            raise UsageError("the step schedule and the steps at which the rate falls go together")
        if min(self.steps, self.batch_size, self.people, self.accumulate) < 1:
            raise UsageError("steps, batch size, people and accumulate must be at least 1")
        if self.classifier_decay != 1 and LOSSES[self.loss].sampler_kind != "plain":
            raise UsageError(
                f"{self.loss} has no classifier: leave classifier_decay out", "classifier_decay"
            )
        if not self.learning_rate > 0:
            raise UsageError("the learning rate must be above 0")

    @property
    def rate(self) -> Schedule:
        """The learning rate over the run."""
        return Schedule(
            self.schedule,
            self.learning_rate,
            self.steps,
            self.warmup,
            self.milestones,
            self.factor,
            self.power,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "milestones": list(self.milestones)}

    def difference(self, earlier: dict[str, Any], ignored: tuple[str, ...] = ()) -> str | None:
        """The first setting that another run's :meth:`as_dict` has otherwise, in words."""
        ours = self.as_dict()
        loss = earlier.get("loss")
        earlier = {**earlier, "loss": FORMER_NAMES.get(str(loss), loss)}
        unstated = TrainConfig(
            network=self.network, loss=self.loss, steps=self.steps, start=self.start
        ).as_dict()
        earlier = {**unstated, **earlier}  # facetool 0.1 had fewer settings
        for entry in fields(self):
            name = entry.name
            if name not in ignored and earlier.get(name) != ours[name]:
                return f"{name.replace('_', ' ')} was {earlier.get(name)}, now {ours[name]}"
        return None
