"""The arithmetic of measurements, and clocks."""

import time

import pytest
import torch

from facetool.profiling.timing import Clock, Timing, time_passes

CPU = torch.device("cpu")


def test_figures() -> None:
    timing = Timing.of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert timing == Timing(mean=5.0, std=2.0, median=4.5, min=2.0, count=8)
    assert str(timing) == "5.00 ± 2.00"
    assert Timing.of([3.0]) == Timing(3.0, 0.0, 3.0, 3.0, 1)


def test_milliseconds() -> None:
    clock = Clock(CPU)
    start = clock.mark()
    time.sleep(0.02)
    assert 20 <= clock.milliseconds(start, clock.mark()) < 2000


@pytest.mark.slow
def test_what_happens_after_a_pass_is_not_its_time() -> None:
    calls: list[str] = []

    def pause() -> None:
        calls.append("after")
        time.sleep(0.2)

    times = time_passes(lambda: calls.append("work"), CPU, 2, after_each=pause)
    assert calls == ["work", "after", "work", "after"]
    assert len(times) == 2 and min(times) < 100


def test_no_pass_begins_after_the_time_is_up() -> None:
    assert len(time_passes(lambda: time.sleep(0.05), CPU, 1000, seconds=0.12)) <= 3
    assert len(time_passes(lambda: None, CPU, 5, seconds=0)) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_work_on_a_gpu_is_waited_for() -> None:
    device = torch.device("cuda")
    a = torch.randn(4096, 4096, device=device)
    (first, *_) = time_passes(lambda: a @ a, device, 3)
    times = time_passes(lambda: a @ a, device, 3)
    assert first > 0 and min(times) > 0.5  # 137 GFLOPs take no GPU less
