"""Processes for a service: each answers one item at a time, within a time."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from facetool.errors import FacetoolError
from facetool.jobs.worker_process import (
    NO_WORKER,
    WORKER_DIED,
    become_worker,
    refuse_in_import,
    starting_workers,
    worker_context,
)

_Context = TypeVar("_Context")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_START_SECONDS = 120.0
"""For a worker's imports and models, on a machine that does other things too."""


class WorkerDiedError(FacetoolError):
    """The process that worked on an item died."""


class WorkerTimeoutError(FacetoolError):
    """The work on an item took too long; its process was ended."""


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class Workers(Generic[_Context, _Item, _Result]):
    """Maps single items over processes, for many callers at once.

    A worker that dies or takes too long is replaced and takes down only its item.

    Args:
        work: module-level function from a worker's context and an item to a result; both pickled.
        create: makes the context of ``work``, once in each worker.
        arguments: of ``create``; pickled.
        jobs: processes.

    Raises:
        FacetoolError: the workers do not start.
    """

    def __init__(
        self,
        work: Callable[[_Context, _Item], _Result],
        create: Callable[..., _Context],
        arguments: tuple[Any, ...] = (),
        jobs: int = 1,
    ) -> None:
        refuse_in_import()
        self.replaced = 0
        self._start_arguments = (work, create, arguments)
        self._context = worker_context(work.__module__)
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._started: list[_Worker] = []
        try:
            with starting_workers():
                started = [self._start() for _ in range(jobs)]
            for worker in started:
                _await_ready(worker)
                self._idle.put(worker)
        except BaseException:
            self._end_all()
            raise
        self._threads = ThreadPoolExecutor(jobs, "workers")

    def submit(self, item: _Item, deadline: float) -> Future[_Result]:
        """Hand an item out.

        Args:
            item: for ``work``.
            deadline: of :func:`time.monotonic`.

        Returns:
            A future that raises :class:`WorkerDiedError` or :class:`WorkerTimeoutError`, or what
            ``work`` raised. One that is cancelled before its turn costs nothing.
        """
        return self._threads.submit(self._answer, item, deadline)

    @property
    def alive(self) -> int:
        """Processes that run."""
        return sum(worker.process.is_alive() for worker in list(self._started))

    def close(self) -> None:
        """End the workers, in the middle of their work too."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._end_all()
        self._threads.shutdown()

    def _end_all(self) -> None:
        for worker in list(self._started):
            self._end(worker)

    def _start(self) -> _Worker:
        here, there = self._context.Pipe()
        process = self._context.Process(  # type: ignore[attr-defined]
            target=_answer_items, args=(there, *self._start_arguments), daemon=True
        )
        process.start()
        there.close()
        worker = _Worker(process, here)
        self._started.append(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        with suppress(ValueError):  # closed by another thread
            self._started.remove(worker)
            worker.end()

    def _answer(self, item: _Item, deadline: float) -> _Result:
        if time.monotonic() >= deadline:
            raise WorkerTimeoutError("it waited too long for its turn")
        worker = self._idle.get()
        try:
            if worker is None:
                worker = self._start()
                _await_ready(worker)
            answer: _Result | _Raised = _ask(worker, item, deadline)
        except BaseException:
            if worker is not None:
                self._end(worker)
            self.replaced += 1
            self._idle.put(None)  # started when it is needed: what ended it may still go on
            raise
        self._idle.put(worker)
        if isinstance(answer, _Raised):
            raise answer.error
        return answer


@dataclass(frozen=True)
class _Raised:
    """What ``work`` raised."""

    error: Exception


def _await_ready(worker: _Worker) -> None:
    try:
        ready = worker.connection.poll(_START_SECONDS) and worker.connection.recv()
    except (EOFError, OSError):
        ready = None
    if isinstance(ready, _Raised):
        raise ready.error
    if not ready:
        raise FacetoolError(NO_WORKER)


def _ask(worker: _Worker, item: Any, deadline: float) -> Any:
    try:
        worker.connection.send(item)
        if worker.connection.poll(max(0.0, deadline - time.monotonic())):
            return worker.connection.recv()
    except (EOFError, OSError):
        raise WorkerDiedError(WORKER_DIED) from None
    raise WorkerTimeoutError("it took too long")


# What follows runs in the worker processes.


def _answer_items(
    connection: Connection,
    work: Callable[[Any, Any], Any],
    create: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    become_worker()
    try:
        context = create(*arguments)
    except Exception as error:
        connection.send(_Raised(error))
        return
    connection.send(True)
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            answer = work(context, item)
        except Exception as error:
            answer = _Raised(error)
        connection.send(answer)
