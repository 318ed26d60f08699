"""Workers for a device: processes where the CPU does the work, threads that share a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic

from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.pool import Context, Item, OrderedPool, Result


class OrderedThreads(Generic[Context, Item, Result]):
    """Maps chunks of items over threads and yields results in the order of the items.

    For work that shares one GPU: while it computes one chunk, other threads read and write.

    Args:
        work: function from the context and a chunk to one result per item.
        create: makes the context of ``work``, which all threads share.
        arguments: of ``create``.
        jobs: threads.
    """

    def __init__(
        self,
        work: Callable[[Context, Sequence[Item]], list[Result]],
        create: Callable[..., Context],
        arguments: tuple[Any, ...] = (),
        jobs: int = 1,
    ) -> None:
        self._work = partial(work, create(*arguments))
        self._jobs = jobs
        self._executor = ThreadPoolExecutor(jobs)

    def map(self, chunks: Iterable[Sequence[Item]]) -> Iterator[list[Result]]:
        """The results of each chunk, chunks in order; a bounded number is in flight."""
        return ordered_map(
            lambda chunk: self._executor.submit(self._work, chunk),
            Future.result,
            chunks,
            2 * self._jobs + 1,
        )

    def __enter__(self) -> OrderedThreads[Context, Item, Result]:
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def open_pool(
    work: Callable[[Context, Sequence[Item]], list[Result]],
    on_death: Callable[[Item], Result],
    create: Callable[..., Context],
    arguments: tuple[Any, ...],
    jobs: int,
    *,
    device: str,
    tries: int = 2,
) -> OrderedPool[Context, Item, Result] | OrderedThreads[Context, Item, Result]:
    """The workers that suit a device.

    Args:
        work: module-level function from a worker's context and a chunk to one result per item.
        on_death: the result for an item whose worker process died.
        create: makes the context of ``work``, once in each process.
        arguments: of ``create``; pickled for processes.
        jobs: processes, or threads where ``device`` is a GPU.
        device: where the contexts compute: ``cpu``, ``cuda`` or ``cuda:N``.
        tries: how many worker processes an item may kill.
    """
    if device == "cpu":
        return OrderedPool(work, on_death, create, arguments, jobs, tries)
    return OrderedThreads(work, create, arguments, jobs)
