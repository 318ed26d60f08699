"""Metrics of several steps."""

import math

import pytest
import torch

from facetool.errors import FacetoolError
from facetool.training.distributed import Process
from facetool.training.meter import Meter
from facetool.training.stepper import StepResult


class Twins(Process):
    """The first of two processes that do the same."""

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return 2 * values


def result(loss: float, correct: int, used: int, norm: float) -> StepResult:
    return StepResult(*(torch.tensor(float(v)) for v in (loss, correct, used, norm)))


@pytest.mark.parametrize(
    "process", [Process(torch.device("cpu")), Twins(torch.device("cpu"), 0, 2)]
)
def test_means_of_the_steps_since_the_last_report(process: Process) -> None:
    meter = Meter(process)
    for _ in range(2):
        meter.add(1, 0.1, result(2.0, 3, 4, 9.0), images=8, skipped=1, seconds=0.5)
        meter.add(2, 0.1, result(4.0, 0, 8, 7.0), images=8, skipped=0, seconds=1.5)
        meter.read()
        assert meter.report() == {
            "loss": 3.0,
            "accuracy": 3 / 12,
            "terms": 6.0 * process.size,
            "gradient_norm": 7.0,
            "images_per_second": 8.0 * process.size,
        }
    assert meter.skipped == 2 * process.size


def test_nothing_used_and_no_time() -> None:
    meter = Meter(Process(torch.device("cpu")))
    meter.add(1, 0.1, result(2.0, 0, 0, 1.0), images=8, skipped=0, seconds=0)
    meter.read()
    report = meter.report()
    assert math.isnan(report["accuracy"]) and math.isnan(report["images_per_second"])


@pytest.mark.parametrize(("loss", "norm", "scaled"), [(math.nan, 1, True), (1, math.inf, False)])
def test_what_is_not_finite_stops_the_run(loss: float, norm: float, scaled: bool) -> None:
    meter = Meter(Process(torch.device("cpu")), scaled)
    meter.add(7, 0.1, result(loss, 0, 0, norm), images=8, skipped=0, seconds=1)
    with pytest.raises(FacetoolError, match="not a finite number at step 7, learning"):
        meter.read()


def test_float16_leaves_a_step_out_whose_gradient_overflows() -> None:
    meter = Meter(Process(torch.device("cpu")), scaled=True)
    meter.add(7, 0.1, result(1.0, 0, 0, math.inf), images=8, skipped=0, seconds=1)
    meter.read()
    assert meter.report()["loss"] == 1.0
