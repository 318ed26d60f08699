"""Workers answer item by item, in bounded time, and are replaced when they die."""

import os
import time
from collections.abc import Iterator

import pytest

from facetool.errors import UsageError
from facetool.jobs.workers import WorkerDiedError, Workers, WorkerTimeoutError


def work(offset: int, item: int) -> int:
    """13 kills its process, 99 raises, 50 takes for ever."""
    if item == 13:
        os._exit(9)
    if item == 99:
        raise UsageError("no such item", "item=99")
    if item == 50:
        time.sleep(600)
    return item + offset


def fail(reason: str) -> int:
    raise UsageError(reason)


def soon(seconds: float = 60) -> float:
    return time.monotonic() + seconds


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers[int, int, int]]:
    workers = Workers(work, int, ("100",), jobs=2)
    yield workers
    workers.close()


def test_many_items_are_answered(workers: Workers[int, int, int]) -> None:
    futures = [workers.submit(item, soon()) for item in range(10)]
    assert [future.result() for future in futures] == list(range(100, 110))


def test_an_error_comes_through_and_costs_no_worker(workers: Workers[int, int, int]) -> None:
    before = workers.replaced
    with pytest.raises(UsageError) as caught:
        workers.submit(99, soon()).result()
    assert caught.value.settings == ("item=99",)
    assert workers.replaced == before


@pytest.mark.slow
def test_a_death_and_a_timeout_cost_one_item_each(workers: Workers[int, int, int]) -> None:
    before = workers.replaced
    doomed, endless = workers.submit(13, soon()), workers.submit(50, soon(0.3))
    others = [workers.submit(item, soon()) for item in range(6)]
    with pytest.raises(WorkerDiedError):
        doomed.result()
    with pytest.raises(WorkerTimeoutError, match="too long"):
        endless.result()
    assert [future.result() for future in others] == list(range(100, 106))
    assert workers.replaced == before + 2


def test_an_item_whose_time_is_over_is_not_begun(workers: Workers[int, int, int]) -> None:
    begun = time.monotonic()
    with pytest.raises(WorkerTimeoutError, match="turn"):
        workers.submit(50, begun - 1).result()
    assert time.monotonic() - begun < 5


def test_what_keeps_workers_from_starting_is_said() -> None:
    with pytest.raises(UsageError, match="no such model"):
        Workers(work, fail, ("no such model",))


def test_close_ends_work_in_progress() -> None:
    workers = Workers(work, int, ("0",))
    endless = workers.submit(50, soon())
    time.sleep(0.2)
    workers.close()
    with pytest.raises(WorkerDiedError):
        endless.result(timeout=10)
    assert workers.alive == 0
