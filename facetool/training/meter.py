"""Metrics of the steps since the last report."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from facetool.errors import FacetoolError
from facetool.training.distributed import Process
from facetool.training.stepper import StepResult


@dataclass
class Meter:
    """Collects results without waiting for the device, and reads them all at once.

    Attributes:
        process: this one.
        scaled: whether the gradient may overflow: the scaler of float16 leaves that step out.
        skipped: damaged images so far, in all processes.
    """

    process: Process
    scaled: bool = False
    skipped: int = 0
    _results: list[tuple[int, float, StepResult]] = field(default_factory=list)
    # Of the steps read since the last report: steps, loss, correct, used, images, seconds.
    _sums: list[float] = field(default_factory=lambda: [0.0] * 6)
    _skipped: int = 0
    _norm: float = math.nan

    def add(
        self, step: int, rate: float, result: StepResult, images: int, skipped: int, seconds: float
    ) -> None:
        """Note a step; ``seconds`` is what it took, loading included."""
        self._results.append((step, rate, result))
        self._sums[0] += 1
        self._sums[4] += images
        self._sums[5] += seconds
        self._skipped += skipped

    def read(self) -> None:
        """Wait for the device and take over its results. Every process must.

        Raises:
            FacetoolError: a loss or a gradient is not finite.
        """
        if not self._results:
            return
        steps, rates, results = zip(*self._results, strict=True)
        totals = torch.tensor([[float(v) for v in r] for r in results], dtype=torch.float64)
        self._results.clear()
        totals[:, 0] = self.process.total(totals[:, 0].clone()) / self.process.size
        for number, (loss, _, _, norm) in enumerate(totals.tolist()):
            broken = "loss" if not math.isfinite(loss) else "gradient"
            if not math.isfinite(loss) or not (math.isfinite(norm) or self.scaled):
                raise FacetoolError(
                    f"the {broken} is not a finite number at step {steps[number]:,}, learning "
                    f"rate {rates[number]:.3g}; try a lower rate, warm-up or gradient clipping. "
                    "The last checkpoint is from before"
                )
        loss, correct, used, _ = totals.sum(0).tolist()
        shared = self.process.total(
            torch.tensor([correct, used, self._skipped], dtype=torch.float64)
        )
        self._sums[1] += loss
        self._sums[2] += float(shared[0])
        self._sums[3] += float(shared[1])
        self.skipped += int(shared[2])
        self._skipped = 0
        self._norm = float(totals[-1, 3])

    def report(self) -> dict[str, float]:
        """Means since the last report, by the names of :class:`facetool.training.log.LogRow`."""
        steps, loss, correct, used, images, seconds = self._sums
        self._sums = [0.0] * 6
        return {
            "loss": loss / steps,
            "accuracy": correct / used if used else math.nan,
            "terms": used / steps,
            "gradient_norm": self._norm,
            "images_per_second": images * self.process.size / seconds if seconds else math.nan,
        }

    def state(self) -> dict[str, Any]:
        """For a checkpoint, after :meth:`read`."""
        return {"sums": list(self._sums), "skipped": self.skipped, "norm": self._norm}

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state` gave."""
        self._sums, self.skipped, self._norm = list(state["sums"]), state["skipped"], state["norm"]
