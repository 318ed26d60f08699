"""The pool keeps order, bounds its queue and survives a dying worker."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from facetool.jobs.pool import OrderedPool


def work(offset: int, chunk: Sequence[int]) -> list[int]:
    """Later items take less time; 13 kills its process, 99 raises."""
    for item in chunk:
        if item == 13:
            os._exit(9)
        if item == 99:
            raise ZeroDivisionError
        time.sleep(max(0.0, 0.02 - item * 0.001))
    return [item + offset for item in chunk]


def died(item: int) -> int:
    return -item


@pytest.fixture
def pool() -> Iterator[OrderedPool[int, int, int]]:
    with OrderedPool(work, died, int, ("100",), jobs=2) as pool:
        yield pool


def test_results_come_in_order_whatever_the_timing(pool: OrderedPool[int, int, int]) -> None:
    chunks = [[0, 1, 2], [3], [4, 5], [6, 7, 8, 9], [10, 11]]
    assert list(pool.map(chunks)) == [[item + 100 for item in chunk] for chunk in chunks]


@pytest.mark.slow
def test_a_death_costs_one_item(pool: OrderedPool[int, int, int]) -> None:
    chunks = [[0, 1], [2, 13, 3], [4, 5], [6], [7], [8], [9, 10]]
    expected = [[-item if item == 13 else item + 100 for item in chunk] for chunk in chunks]
    assert list(pool.map(chunks)) == expected


def test_an_error_comes_through(pool: OrderedPool[int, int, int]) -> None:
    with pytest.raises(ZeroDivisionError):
        list(pool.map([[1], [99]]))


def fails(script: Path, text: str) -> list[str]:
    """Lines of stderr of a script, which ends with 1 and prints nothing."""
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.splitlines()


@pytest.mark.slow
def test_what_keeps_processes_from_starting_is_said(tmp_path: Path) -> None:
    said = fails(
        tmp_path / "plain.py",
        "import multiprocessing\n"
        "from operator import add\n"
        "from facetool.jobs.pool import OrderedPool\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.set_executable('/nowhere/python')\n"
        "    with OrderedPool(add, abs, int, ('1',), jobs=1) as pool:\n"
        "        print(list(pool.map([[1], [2]])))\n",
    )
    errors = [line for line in said if line.startswith("facetool.errors")]
    assert errors[-1].startswith("facetool.errors.FacetoolError: no worker process starts")


def test_a_script_that_its_workers_would_run_again_is_told_so(tmp_path: Path) -> None:
    *_, last = fails(
        tmp_path / "plain.py",
        "from operator import add\n"
        "from facetool.jobs.pool import OrderedPool\n"
        "with OrderedPool(add, abs, int, ('1',), jobs=1) as pool:\n"
        "    print(list(pool.map([[1], [2]])))\n",
    )
    assert last.startswith("facetool.errors.FacetoolError: the worker processes cannot start")
    assert "__main__" in last


def _large(context: None, chunk: Sequence[int]) -> list[bytes]:
    return [bytes(30_000_000) for _ in chunk]


@pytest.mark.slow
def test_workers_may_be_stopped_in_the_middle_of_an_answer() -> None:
    """The thread that waits for the rest of it ends, or the process never would."""
    for _ in range(4):
        with (
            pytest.raises(KeyboardInterrupt),
            OrderedPool(_large, _died, _nothing, (), 2) as pool,
        ):
            results = pool.map([[number] for number in range(50)])
            assert len(next(results)[0]) == 30_000_000
            thread: Any = pool._executor._executor_manager_thread
            raise KeyboardInterrupt
        thread.join(10)
        assert not thread.is_alive()


def test_a_thread_that_cannot_be_started_leaves_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor's own starts after its first process, which nobody would end."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("concurrent.futures.process._ExecutorManagerThread.start", start)
    with (
        pytest.raises(RuntimeError, match="can't start new thread"),
        OrderedPool(work, died, int, ("100",), jobs=2) as pool,
    ):
        list(pool.map([[1], [2]]))
    for process in multiprocessing.active_children():
        process.join(10)
    assert not multiprocessing.active_children()


def _nothing() -> None:
    return None


def _died(item: int) -> bytes:
    return b""
