"""The learning rate as a function of the step, so that a resumed run needs no state of it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A learning rate for every step.

    Attributes:
        kind: one of :data:`facetool.training.choices.SCHEDULES`.
        base: the highest learning rate.
        steps: of the whole run; cosine and polynomial end at 0 there.
        warmup: steps over which the rate first rises linearly to ``base``.
        milestones: for ``step``, after how many steps the rate is multiplied by ``factor``.
        factor: for ``step``.
        power: for ``polynomial``.
    """

    kind: str
    base: float
    steps: int
    warmup: int = 0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    power: float = 2.0

    def at(self, step: int) -> float:
        """The rate of the update that follows ``step`` updates, 0 … ``steps`` - 1."""
        if step < self.warmup:
            return self.base * (step + 1) / self.warmup
        if self.kind == "step":
            return float(self.base * self.factor ** sum(step >= end for end in self.milestones))
        left = 1 - (step - self.warmup) / max(self.steps - self.warmup, 1)
        if self.kind == "cosine":
            return self.base * (1 - math.cos(math.pi * left)) / 2
        if self.kind == "polynomial":
            return float(self.base * left**self.power)
        return self.base
