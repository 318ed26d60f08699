"""Shards as tasks of a Ray cluster.

A task has no state but what its worker process keeps for the next one: the network and the
detector of the run. Tasks that a lost node or worker takes with it are given to another.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from facetool.embedding.embedder import Embedder
from facetool.errors import FacetoolError, UsageError, one_line
from facetool.jobs.allocator import keep_freed_memory
from facetool.jobs.progress import listener
from facetool.networks.devices import resolve_device
from facetool.runners.cropping import cropping_here, pooled_cropping
from facetool.runners.job import EmbedJob, ShardOutcome
from facetool.runners.stream import embed_shards

AUTO = "auto"
"""The address that stands for a cluster that Ray knows of, or else one on this machine."""

_TRIES = 6
"""Workers or nodes that a shard may take with it until the run ends; from the second try on, a
photo that kills its worker is found out."""

_AHEAD = 2
"""Tasks handed out for each that can run at a time."""


def run_on_ray(
    job: EmbedJob, numbers: Sequence[int], address: str, cpus: int
) -> Iterator[ShardOutcome]:
    """Work on shards, in no order.

    Args:
        job: the plan, and how to carry it out.
        numbers: of the shards; at least one.
        address: of the cluster, or :data:`AUTO`.
        cpus: that a task takes; where the network runs on a GPU it takes one of those, too.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster, or it has no such GPU.
        FacetoolError: a shard's workers died again and again, or what a task raises.
    """
    ray = need_ray()
    mine = not ray.is_initialized()
    if mine:
        _connect(ray, address)
    try:
        yield from _Tasks(ray, job, cpus).run(numbers)
    finally:
        if mine:
            ray.shutdown()


def need_ray() -> Any:
    """The module.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import ray
    except ImportError:
        raise UsageError(
            "ray needs Ray: pip install 'facetool[ray]'",
            "ray",
        ) from None
    return ray


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(
            None if address == AUTO else address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if address == AUTO else None,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(f"ray={address!r}: {one_line(error)}", f"ray={address!r}") from None


class _Lost(NamedTuple):
    """Why a task ended without a result."""

    reason: str


class _Tasks:
    """The tasks of a run."""

    def __init__(self, ray: Any, job: EmbedJob, cpus: int) -> None:
        self._ray = ray
        self._job = ray.put(job)
        gpus = int(str(job.represent.device).startswith("cuda"))
        resources = ray.cluster_resources()
        self._refuse_too_small(resources, cpus, gpus)
        # Ray's own second tries would not know of the first.
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._task = ray.remote(**options)(_embed_shard)
        self._cpus = cpus
        slots = resources.get("GPU", 0) if gpus else resources["CPU"] / cpus
        self._in_flight = max(1, int(_AHEAD * slots))
        self._tries: dict[int, int] = {}

    def _refuse_too_small(self, resources: dict[str, float], cpus: int, gpus: int) -> None:
        if gpus and not resources.get("GPU"):
            raise UsageError("the Ray cluster has no GPU; try device='cpu'", "device='cpu'")
        if resources.get("CPU", 0) < cpus:
            raise UsageError(
                f"jobs={cpus}: no node of the Ray cluster has so many CPUs", f"jobs={cpus}"
            )

    def run(self, numbers: Sequence[int]) -> Iterator[ShardOutcome]:
        """Outcomes as they come."""
        waiting = deque(numbers)
        running: dict[Any, int] = {}
        while waiting or running:
            while waiting and len(running) < self._in_flight:
                number = waiting.popleft()
                self._tries[number] = self._tries.get(number, 0) + 1
                careful = self._tries[number] > 1
                running[self._task.remote(self._job, number, self._cpus, careful)] = number
            (ready, *_), _ = self._ray.wait(list(running), num_returns=1)
            number = running.pop(ready)
            found = self._result(ready)
            if isinstance(found, ShardOutcome):
                yield found
                continue
            if self._tries[number] == _TRIES:
                raise FacetoolError(
                    f"shard {number}: given up after {_TRIES} tries: {found.reason}"
                )
            listener().remark(f"shard {number}", f"{found.reason}; it is tried again")
            waiting.appendleft(number)

    def _result(self, ready: Any) -> ShardOutcome | _Lost:
        errors = self._ray.exceptions
        try:
            outcome: ShardOutcome = self._ray.get(ready)
        except errors.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, FacetoolError) else error from None
        except errors.OutOfMemoryError:
            return _Lost("its worker took more memory than the node has")
        except (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.ObjectLostError,
            errors.RaySystemError,
        ) as error:
            return _Lost(f"its worker or node was lost ({type(error).__name__})")
        return outcome


# What follows runs in the worker processes.

_kept: dict[str, tuple[EmbedJob, Embedder, Any]] = {}
"""What this process has loaded for a plan."""


def _embed_shard(job: EmbedJob, number: int, cpus: int, careful: bool) -> ShardOutcome:
    """One shard.

    Args:
        job: the plan, and how to carry it out.
        number: of the shard.
        cpus: that may be used.
        careful: find the faces in processes of their own: one of them dies in the place of this.
    """
    key = job.plan.id
    if key not in _kept:
        _kept.clear()
        _kept[key] = _load(job, cpus)
    job, embedder, cropping = _kept[key]
    if not careful:
        (outcome,) = embed_shards(job, [number], cropping, embedder, 1)
        return outcome
    with pooled_cropping(job.align, job.plan.keep_crops, cpus, job.detector_device) as pooled:
        (outcome,) = embed_shards(job, [number], pooled, embedder, cpus)
    return outcome


def _load(job: EmbedJob, cpus: int) -> tuple[EmbedJob, Embedder, Any]:
    keep_freed_memory()
    settings = replace(job.represent, device=resolve_device(job.represent.device))
    job = replace(job, represent=settings)
    cropping = cropping_here(job.align, job.plan.keep_crops, job.detector_device)
    torch.set_num_threads(cpus)
    embedder = Embedder(
        job.network, settings.device, settings.dtype, settings.flip, settings.engine
    )
    return job, embedder, cropping
