"""The pool keeps order, bounds its queue and survives a dying worker."""

import os
import time
from collections.abc import Iterator, Sequence

import pytest

from facetool.jobs.pool import OrderedPool, chunks_for

_offset = 0


def set_up(offset: int) -> None:
    global _offset
    _offset = offset


def work(chunk: Sequence[int]) -> list[int]:
    """Later items take less time; 13 kills its process, 99 raises."""
    for item in chunk:
        if item == 13:
            os._exit(9)
        if item == 99:
            raise ZeroDivisionError
        time.sleep(max(0.0, 0.02 - item * 0.001))
    return [item + _offset for item in chunk]


def died(item: int) -> int:
    return -item


@pytest.fixture
def pool() -> Iterator[OrderedPool[int, int]]:
    with OrderedPool(work, died, set_up, (100,), jobs=2) as pool:
        yield pool


def test_results_come_in_order_whatever_the_timing(pool: OrderedPool[int, int]) -> None:
    chunks = [[0, 1, 2], [3], [4, 5], [6, 7, 8, 9], [10, 11]]
    assert list(pool.map(chunks)) == [[item + 100 for item in chunk] for chunk in chunks]


def test_a_death_costs_one_item(pool: OrderedPool[int, int]) -> None:
    chunks = [[0, 1], [2, 13, 3], [4, 5], [6], [7], [8], [9, 10]]
    expected = [[-item if item == 13 else item + 100 for item in chunk] for chunk in chunks]
    assert list(pool.map(chunks)) == expected


def test_an_error_comes_through(pool: OrderedPool[int, int]) -> None:
    with pytest.raises(ZeroDivisionError):
        list(pool.map([[1], [99]]))


@pytest.mark.parametrize("count", [0, 1, 5, 16, 100, 1001])
def test_chunks_shrink_towards_the_end(count: int) -> None:
    chunks = chunks_for(2, range(count), 16)
    assert [item for chunk in chunks for item in chunk] == list(range(count))
    sizes = [len(chunk) for chunk in chunks]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1:] == [1][:count]
    assert all(size == 16 for size in sizes[: max(0, count // 16 - 4)])
