"""A process pool for batch jobs: ordered results, bounded queue, survives a dying worker."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKER_DIED = "the worker process died on it (out of memory?)"

_IN_FLIGHT_PER_WORKER = 3
"""Chunks handed out per worker: one at work, one waiting, one being collected."""


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chunks_for(jobs: int, items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Chunks of ``size``, smaller and smaller towards the end, so that all jobs end together."""
    chunks = []
    start = 0
    while start < len(items):
        count = max(1, min(size, (len(items) - start) // (2 * jobs)))
        chunks.append(items[start : start + count])
        start += count
    return chunks


class OrderedPool(Generic[Item, Result]):
    """Maps chunks of items over processes and yields results in the order of the items.

    A worker that dies (out of memory, a crash inside a native library) takes down only the item
    that killed it: the pool is started again and that chunk is tried item by item.

    In a script, call it under ``if __name__ == "__main__"``: workers import the main module.

    Args:
        work: module-level function from a chunk to one result per item.
        on_death: the result for an item whose worker died.
        setup: called once in each worker with ``arguments``, if given.
        arguments: of ``setup``; pickled.
        jobs: worker processes.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], list[Result]],
        on_death: Callable[[Item], Result],
        setup: Callable[..., None] | None = None,
        arguments: tuple[Any, ...] = (),
        jobs: int = 1,
    ) -> None:
        self._work = work
        self._on_death = on_death
        self._setup = setup
        self._arguments = arguments
        self._jobs = jobs
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        # A fork of a process in which OpenCV or torch have threads may hang, so workers come
        # from a fresh process that has loaded nothing but what they need.
        context: BaseContext
        if "forkserver" in multiprocessing.get_all_start_methods():
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([self._work.__module__])
        else:
            context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            self._jobs, context, _start_worker, (self._setup, self._arguments)
        )

    def map(self, chunks: Sequence[Sequence[Item]]) -> Iterator[list[Result]]:
        """The results of each chunk, chunks in order; a bounded number is in flight."""
        waiting: deque[tuple[Sequence[Item], Future[list[Result]] | None]] = deque()
        upcoming = iter(chunks)
        exhausted = False
        while waiting or not exhausted:
            while not exhausted and len(waiting) < self._jobs * _IN_FLIGHT_PER_WORKER:
                chunk = next(upcoming, None)
                if chunk is None:
                    exhausted = True
                else:
                    waiting.append((chunk, self._submit(chunk)))
            if not waiting:
                break
            chunk, future = waiting.popleft()
            try:
                if future is None:
                    raise BrokenProcessPool
                yield future.result()
            except BrokenProcessPool:
                self._restart()
                yield [self._alone(item) for item in chunk]
                waiting = deque((chunk, self._submit(chunk)) for chunk, _ in waiting)

    def _submit(self, chunk: Sequence[Item]) -> Future[list[Result]] | None:
        try:
            return self._executor.submit(self._work, chunk)
        except BrokenProcessPool:
            return None

    def _alone(self, item: Item) -> Result:
        """One item by itself, so that a death points at it."""
        try:
            return self._executor.submit(self._work, [item]).result()[0]
        except BrokenProcessPool:
            self._restart()
            return self._on_death(item)

    def _restart(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._start()

    def close(self) -> None:
        """Drop what is queued and end the workers."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> OrderedPool[Item, Result]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def map_in_threads(
    work: Callable[[Sequence[Item]], list[Result]], chunks: Sequence[Sequence[Item]], threads: int
) -> Iterator[list[Result]]:
    """The results of each chunk, chunks in order; a bounded number is in flight.

    For work that shares one GPU: while it computes one chunk, other threads read and write.
    """
    executor = ThreadPoolExecutor(threads)
    waiting: deque[Future[list[Result]]] = deque()
    try:
        for chunk in chunks:
            waiting.append(executor.submit(work, chunk))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start_worker(setup: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    # Ctrl-C is the main process's business: it stops handing out work and closes the pool.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    if setup is not None:
        setup(*arguments)


def _die_with_parent() -> None:
    """A killed main process must not leave workers behind that wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
