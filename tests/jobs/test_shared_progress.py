"""Progress of workers, seen in the process that started them."""

import time
from collections.abc import Sequence

import pytest

from facetool.jobs import shared_progress
from facetool.jobs.pool import OrderedPool
from facetool.jobs.progress import ProgressBar, follow, progress_bar
from facetool.jobs.shared_progress import SharedProgress


class Bar(ProgressBar):
    def __init__(self) -> None:
        self.said: list[str] = []

    def describe(self, text: str) -> None:
        self.said.append(text)


def same(progress: SharedProgress) -> SharedProgress:
    return progress


def work(progress: SharedProgress, seconds: Sequence[int]) -> list[int]:
    with follow(progress):
        for count in seconds:
            with progress_bar("video", None, unit="s") as bar:
                for _ in range(count):
                    bar.update()
                    time.sleep(0.005)
    return list(seconds)


def died(seconds: int) -> int:
    raise AssertionError


def test_what_workers_do_is_shown_while_they_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_progress, "_SECONDS", 0.01)
    progress, bar = SharedProgress(), Bar()
    with (
        progress.shown_beside(bar, "s of video"),
        OrderedPool(work, died, same, (progress,), jobs=1) as pool,
    ):
        assert list(pool.map([[100], [30]])) == [[100], [30]]
        time.sleep(0.1)
    assert len(bar.said) > 2 and bar.said[-1] == "130 s of video"


def test_nothing_is_said_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_progress, "_SECONDS", 0.001)
    bar = Bar()
    with SharedProgress().shown_beside(bar, "s of video"):
        time.sleep(0.02)
    assert bar.said == []


def test_without_room_for_shared_memory_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(27, "File too large")

    monkeypatch.setattr(shared_progress, "RawValue", full)
    with OrderedPool(work, died, same, (SharedProgress(),), jobs=1) as pool:
        assert list(pool.map([[1]])) == [[1]]
