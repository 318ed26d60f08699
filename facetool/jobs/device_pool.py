"""Workers for a device: processes where the CPU does the work, threads that share a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic

from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.pool import OrderedPool, _Context, _Item, _Result


class OrderedThreads(Generic[_Context, _Item, _Result]):
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
        work: Callable[[_Context, Sequence[_Item]], list[_Result]],
        create: Callable[..., _Context],
        arguments: tuple[Any, ...] = (),
        jobs: int = 1,
    ) -> None:
        self._work = partial(work, create(*arguments))
        self._jobs = jobs
        self._executor = ThreadPoolExecutor(jobs)

    def map(self, chunks: Iterable[Sequence[_Item]]) -> Iterator[list[_Result]]:
        """The results of each chunk, chunks in order; a bounded number is in flight."""
        return ordered_map(
            lambda chunk: self._executor.submit(self._work, chunk),
            Future.result,
            chunks,
            2 * self._jobs + 1,
        )

    def __enter__(self) -> OrderedThreads[_Context, _Item, _Result]:
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def open_pool(
    work: Callable[[_Context, Sequence[_Item]], list[_Result]],
    on_death: Callable[[_Item], _Result],
    create: Callable[..., _Context],
    arguments: tuple[Any, ...],
    jobs: int,
    *,
    device: str,
    tries: int = 2,
) -> OrderedPool[_Context, _Item, _Result] | OrderedThreads[_Context, _Item, _Result]:
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
