"""Faces of many requests go through the network together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.embedding.embedder import Embedder, check_finite

BATCH_SIZE = 32
"""Faces per pass: more bring nothing on a CPU (``scripts/bench-networks``)."""

MAX_WAIT = 0.1
"""Seconds that a face waits for others, and only while all cores are busy anyway."""


@dataclass(eq=False)
class _Job:
    crops: NDArray[np.uint8]
    since: float = field(default_factory=time.monotonic)
    future: Future[NDArray[np.float32]] = field(default_factory=Future)


class Batcher:
    """Collects crops that come one by one and embeds them in batches.

    While fewer photos are on their way than there are workers to search them, a core is idle and
    what is there goes through the network at once. Otherwise it waits for a full batch, for
    :data:`MAX_WAIT` seconds at most: the cores are busy searching meanwhile.

    Args:
        embedder: runs the network.
        workers: that search photos.
        observe: gets the number of faces of each pass.
    """

    def __init__(
        self,
        embedder: Embedder,
        workers: int,
        observe: Callable[[int], object] = lambda faces: None,
    ) -> None:
        self._embedder = embedder
        self._workers = workers
        self._observe = observe
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._coming = 0
        self._closed = False
        each = max(1, torch.get_num_threads() // embedder.streams)
        self._threads = [
            threading.Thread(target=self._run, args=(each,), name="embed", daemon=True)
            for _ in range(embedder.streams)
        ]
        for thread in self._threads:
            thread.start()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """While a photo is searched whose faces are submitted at the end of it."""
        with self._changed:
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify_all()

    def submit(self, crops: NDArray[np.uint8]) -> Future[NDArray[np.float32]]:
        """Hand in crops.

        Args:
            crops: uint8 RGB (N, H, W, 3), of the recipe's size; N may be 0.

        Returns:
            A future with float32 (N, D). One that is cancelled before its turn costs nothing.
        """
        job = _Job(crops)
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()
        return job.future

    def close(self) -> None:
        """Drop what waits and end the threads."""
        with self._changed:
            self._closed = True
            for job in self._jobs:
                job.future.cancel()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self, threads: int) -> None:
        torch.set_num_threads(threads)
        while batch := self._take():
            jobs = [job for job in batch if job.future.set_running_or_notify_cancel()]
            if not jobs:
                continue
            try:
                vectors = self._embed([job.crops for job in jobs])
            except Exception as error:
                for job in jobs:
                    job.future.set_exception(error)
                continue
            for job, rows in zip(jobs, vectors, strict=True):
                job.future.set_result(rows)

    def _take(self) -> list[_Job]:
        """The jobs of the next pass; none once the batcher is closed."""
        with self._changed:
            while not self._is_due():
                self._changed.wait(self._patience())
            if self._closed:
                return []
            batch: list[_Job] = []
            count = 0
            while self._jobs and (not batch or count + len(self._jobs[0].crops) <= BATCH_SIZE):
                batch.append(self._jobs.popleft())
                count += len(batch[-1].crops)
            return batch

    def _is_due(self) -> bool:
        if self._closed or not self._jobs:
            return self._closed
        return (
            self._coming < self._workers
            or sum(len(job.crops) for job in self._jobs) >= BATCH_SIZE
            or self._patience() == 0
        )

    def _patience(self) -> float | None:
        """Seconds until the oldest job has waited long enough; None where there is none."""
        if not self._jobs:
            return None
        return max(0.0, self._jobs[0].since + MAX_WAIT - time.monotonic())

    def _embed(self, crops: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """The embeddings of each job's crops, in passes of no more than a batch."""
        together = np.concatenate(crops)
        passes = range(0, len(together), BATCH_SIZE)
        for start in passes:
            self._observe(min(BATCH_SIZE, len(together) - start))
        parts = [self._embedder.embed(together[start : start + BATCH_SIZE]) for start in passes]
        vectors = np.concatenate([np.empty((0, self._embedder.size), np.float32), *parts])
        check_finite(vectors)
        return np.split(vectors, np.cumsum([len(some) for some in crops])[:-1])
