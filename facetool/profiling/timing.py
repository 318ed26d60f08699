"""How long work takes, on the host's clock or the device's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import Any

import torch


@dataclass(frozen=True)
class Timing:
    """Repeated measurements of one thing, in milliseconds.

    Attributes:
        mean: of all.
        std: of the population, as OpenFace's scripts state it.
        median: half took longer.
        min: the shortest.
        count: how many measurements.
    """

    mean: float
    std: float
    median: float
    min: float
    count: int

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Timing:
        """The statistics of at least one measurement."""
        times = list(milliseconds)
        return cls(fmean(times), pstdev(times), median(times), min(times), len(times))

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.std:.2f}"


class Clock:
    """Times work on a device: by events on a GPU, whose calls return before the work is done.

    Args:
        device: where the work runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def mark(self) -> Any:
        """This moment in the device's work."""
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def milliseconds(self, start: Any, end: Any) -> float:
        """From one mark to another; waits until the device has got to the latter."""
        if self._device.type != "cuda":
            return float(end - start) * 1000
        end.synchronize()
        return float(start.elapsed_time(end))


def time_passes(
    work: Callable[[], object],
    device: torch.device,
    passes: int,
    seconds: float = float("inf"),
    after_each: Callable[[], object] = lambda: None,
) -> list[float]:
    """Do the same work again and again, each time after the last is done.

    Args:
        work: on ``device``.
        device: whose clock counts.
        passes: how often at most, one at least.
        seconds: after which no further pass begins.
        after_each: called after each pass, outside the time measured.

    Returns:
        Milliseconds of each pass.
    """
    clock = Clock(device)
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < passes and (not times or time.perf_counter() - begin < seconds):
        start = clock.mark()
        work()
        times.append(clock.milliseconds(start, clock.mark()))
        after_each()
    return times
