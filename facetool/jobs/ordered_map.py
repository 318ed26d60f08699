"""The one queue of this package: work is started ahead, results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
Started = TypeVar("Started")
_Result = TypeVar("_Result")


def ordered_map(
    start: Callable[[_Item], Started],
    finish: Callable[[Started], _Result],
    items: Iterable[_Item],
    in_flight: int,
) -> Iterator[_Result]:
    """The results of items, in their order, while the work on later ones goes on.

    Args:
        start: begins the work on an item, mostly by handing it to an executor.
        finish: waits for its result.
        items: taken only as fast as they are started.
        in_flight: items started whose results are not yet taken, at most; 1 or more.
    """
    waiting: deque[Started] = deque()
    for item in items:
        waiting.append(start(item))
        if len(waiting) >= in_flight:
            yield finish(waiting.popleft())
    while waiting:
        yield finish(waiting.popleft())


def batches_of(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    """Items in batches of ``size``; the last may be smaller."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def chunks_for(jobs: int, items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    """Chunks of ``size``, smaller and smaller towards the end, so that all jobs end together."""
    chunks = []
    start = 0
    while start < len(items):
        count = max(1, min(size, (len(items) - start) // (2 * jobs)))
        chunks.append(items[start : start + count])
        start += count
    return chunks
