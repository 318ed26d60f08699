"""How far worker processes have come with items that take long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawValue
from typing import Any

from facetool.jobs.progress import Progress, ProgressBar

_SECONDS = 0.5


class SharedProgress(Progress):
    """Adds up what the tasks of all workers have done, for a bar of the process that started them.

    Passed to the workers as an argument of what creates their context; there, and in threads, work
    is done under :func:`facetool.jobs.progress.follow`.
    """

    def __init__(self) -> None:
        # Without a lock, which a worker that is killed might hold for ever: an addition that is
        # lost in a race makes the number too small for a while.
        self._done: Any
        try:
            self._done = RawValue("q", 0)
        except OSError:  # no room for memory to share: each worker counts for itself, unseen
            self._done = _Count()

    def bar(self, title: str, total: int | None, done: int, unit: str) -> ProgressBar:
        """A task of a worker."""
        return _SharedBar(self)

    def add(self, count: int) -> None:
        """So much more is done."""
        self._done.value += count

    @contextmanager
    def shown_beside(self, bar: ProgressBar, what: str) -> Iterator[None]:
        """Describe a bar by the number of ``what`` while the block runs, once there are any."""
        ended = threading.Event()

        def show() -> None:
            shown = 0
            while not ended.wait(_SECONDS):
                if self._done.value != shown:
                    shown = self._done.value
                    bar.describe(f"{shown:,} {what}")

        thread = threading.Thread(target=show, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@dataclass
class _Count:
    value: int = 0


class _SharedBar(ProgressBar):
    def __init__(self, shared: SharedProgress) -> None:
        self._shared = shared

    def update(self, count: int = 1) -> None:
        self._shared.add(count)
