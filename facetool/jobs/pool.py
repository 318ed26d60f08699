"""A process pool for batch jobs: ordered results, bounded queue, survives a dying worker."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event
from typing import Any, Generic, TypeVar

from facetool.errors import FacetoolError
from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.worker_process import (
    NO_WORKER,
    become_worker,
    free_files,
    refuse_in_import,
    starting_workers,
    worker_context,
)

_Context = TypeVar("_Context")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_IN_FLIGHT_PER_WORKER = 3
"""Chunks handed out per worker: one at work, one waiting, one being collected."""


_FILES_BESIDE_WORKERS = 11
"""Open files of a pool besides two for each worker, as counted with ``ulimit -n`` of 20 to 40."""


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _most_workers() -> int:
    """Workers that this process may have open files for; what starts them takes two for each.

    Raises:
        OSError: for none: the fork server, when it is asked in vain, prints a traceback and ends.
    """
    most = (free_files() - _FILES_BESIDE_WORKERS) // 2
    if most < 1:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return most


@dataclass(eq=False)
class _Started(Generic[_Item, _Result]):
    """A chunk at work; a pool that is started again gives it another future."""

    chunk: Sequence[_Item]
    future: Future[list[_Result]] | None


class OrderedPool(Generic[_Context, _Item, _Result]):
    """Maps chunks of items over processes and yields results in the order of the items.

    A worker that dies (out of memory, a crash inside a native library) takes down only the item
    that killed it: the pool is started again and that chunk is tried item by item.

    In a script, call it under ``if __name__ == "__main__"``: workers import the main module.

    Args:
        work: module-level function from a worker's context and a chunk to one result per item.
        on_death: the result for an item whose worker died.
        create: makes the context of ``work``, once in each worker.
        arguments: of ``create``; pickled.
        jobs: worker processes.
        tries: how many workers an item may kill until ``on_death`` is asked; the first try is
            in its chunk.

    Raises:
        FacetoolError: no worker came to work; also from ``map``.
        OSError: this process may open too few files for one.
    """

    def __init__(
        self,
        work: Callable[[_Context, Sequence[_Item]], list[_Result]],
        on_death: Callable[[_Item], _Result],
        create: Callable[..., _Context],
        arguments: tuple[Any, ...] = (),
        jobs: int = 1,
        tries: int = 2,
    ) -> None:
        refuse_in_import()
        self._work = work
        self._on_death = on_death
        self._create = create
        self._arguments = arguments
        self._jobs = min(jobs, _most_workers())
        self._tries = tries
        self._started: list[_Started[_Item, _Result]] = []
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        context = worker_context(self._work.__module__)
        with starting_workers():  # an Event has a process that looks after it
            self._at_work = context.Event()
        arguments = (self._at_work, self._work, self._create, self._arguments)
        return ProcessPoolExecutor(self._jobs, context, _start_worker, arguments)

    def map(self, chunks: Iterable[Sequence[_Item]]) -> Iterator[list[_Result]]:
        """The results of each chunk, chunks in order; a bounded number is in flight."""
        self._started.clear()
        return ordered_map(self._begin, self._end, chunks, self._jobs * _IN_FLIGHT_PER_WORKER)

    def _begin(self, chunk: Sequence[_Item]) -> _Started[_Item, _Result]:
        started = _Started(chunk, self._submit(chunk))
        self._started.append(started)
        return started

    def _end(self, started: _Started[_Item, _Result]) -> list[_Result]:
        self._started.remove(started)
        try:
            if started.future is None:
                raise BrokenProcessPool
            return started.future.result()
        except BrokenProcessPool:
            self._restart()
            results = [self._alone(item) for item in started.chunk]
            for other in self._started:
                other.future = self._submit(other.chunk)
            return results

    def _submit(self, chunk: Sequence[_Item]) -> Future[list[_Result]] | None:
        try:
            with starting_workers():
                return self._executor.submit(_work_on, chunk)
        except BrokenProcessPool:
            return None

    def _alone(self, item: _Item) -> _Result:
        """One item by itself, so that a death points at it."""
        for _ in range(self._tries - 1):
            try:
                with starting_workers():
                    future = self._executor.submit(_work_on, [item])
                results: list[_Result] = future.result()
                return results[0]
            except BrokenProcessPool:
                self._restart()
        return self._on_death(item)

    def _restart(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        if not self._at_work.is_set():
            raise FacetoolError(NO_WORKER) from None
        self._executor = self._start()

    def close(self) -> None:
        """Drop what is queued and end the workers."""
        thread: Any = self._executor._executor_manager_thread
        if thread is not None and thread.ident is None:  # it could not start, and nobody ends them
            self._kill()
        else:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _kill(self) -> None:
        """End the workers in the middle of their work: files that are not whole have no name."""
        workers = list((self._executor._processes or {}).values())
        for process in workers:
            process.terminate()
        # A worker may have been in the middle of an answer, and nobody writes the rest. The thread
        # that reads it sees the end only when this process does not hold the pipe open either.
        answers: Any = self._executor._result_queue
        if workers and answers is not None:
            answers._writer.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> OrderedPool[_Context, _Item, _Result]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._kill()
        else:
            self.close()


# What follows runs in the worker processes.

_work_on_chunk: Callable[[Sequence[Any]], list[Any]]
"""The pool's work with this worker's context: the only place that a process keeps it."""


def _work_on(chunk: Sequence[Any]) -> list[Any]:
    return _work_on_chunk(chunk)


def _start_worker(
    at_work: Event,
    work: Callable[..., list[Any]],
    create: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    global _work_on_chunk
    at_work.set()
    become_worker()
    _work_on_chunk = partial(work, create(*arguments))
