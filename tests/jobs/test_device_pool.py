"""Processes for the CPU and threads for a GPU give the same results in the same order."""

import os
import threading
import time
from collections.abc import Sequence

import pytest

from facetool.jobs.device_pool import open_pool


def work(offset: int, chunk: Sequence[int]) -> list[tuple[int, int]]:
    """Later items take less time."""
    if 99 in chunk:
        raise ZeroDivisionError
    time.sleep(0.02 / (1 + max(chunk, default=0)))
    return [(item + offset, os.getpid()) for item in chunk]


def died(item: int) -> tuple[int, int]:
    raise AssertionError


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_results_come_in_order(device: str) -> None:
    chunks = [[0, 1, 2], [3], [4, 5], [6, 7, 8, 9], [10, 11]]
    with open_pool(work, died, int, ("100",), 2, device=device) as pool:
        assert list(pool.map([(), ()])) == [[], []]
        results = list(pool.map(chunks))
    assert [[number for number, _ in chunk] for chunk in results] == [
        [item + 100 for item in chunk] for chunk in chunks
    ]
    here = {process == os.getpid() for chunk in results for _, process in chunk}
    assert here == {device != "cpu"}


def test_an_error_in_a_thread_comes_through_and_ends_the_threads() -> None:
    before = threading.active_count()
    with (
        pytest.raises(ZeroDivisionError),
        open_pool(work, died, int, ("100",), 3, device="cuda") as pool,
    ):
        list(pool.map([[1], [99], *([n] for n in range(50))]))
    assert threading.active_count() == before
