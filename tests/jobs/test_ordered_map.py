"""Order, and a bound on what is in flight."""

from collections.abc import Iterator

import pytest

from facetool.jobs.ordered_map import batches_of, chunks_for, ordered_map


@pytest.mark.parametrize("in_flight", [1, 3, 20])
def test_results_come_in_order_and_a_bounded_number_is_in_flight(in_flight: int) -> None:
    started, most = 0, 0

    def items() -> Iterator[int]:
        nonlocal started, most
        for item in range(10):
            started += 1
            most = max(most, started)
            yield item

    def finish(item: int) -> int:
        nonlocal started
        started -= 1
        return item * item

    assert list(ordered_map(lambda n: n, finish, items(), in_flight)) == [n * n for n in range(10)]
    assert most == min(in_flight, 10)
    assert started == 0


def test_nothing_is_taken_before_it_is_asked_for() -> None:
    taken: list[int] = []
    results = ordered_map(taken.append, lambda n: n, range(10), 3)
    assert taken == []
    next(results)
    assert taken == [0, 1, 2]


def test_batches() -> None:
    assert batches_of("abcde", 2) == ["ab", "cd", "e"]
    assert batches_of([], 2) == []


@pytest.mark.parametrize("count", [0, 1, 5, 16, 100, 1001])
def test_chunks_shrink_towards_the_end(count: int) -> None:
    chunks = chunks_for(2, range(count), 16)
    assert [item for chunk in chunks for item in chunk] == list(range(count))
    sizes = [len(chunk) for chunk in chunks]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1:] == [1][:count]
    assert all(size == 16 for size in sizes[: max(0, count // 16 - 4)])
