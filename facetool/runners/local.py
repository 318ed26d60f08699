"""Shards by worker processes of this machine: they find the faces, this process embeds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facetool.embedding.embedder import Embedder
from facetool.runners.cropping import pooled_cropping
from facetool.runners.job import EmbedJob, ShardOutcome
from facetool.runners.stream import embed_shards


def run_here(job: EmbedJob, numbers: Sequence[int], jobs: int) -> Iterator[ShardOutcome]:
    """Work on shards, in order.

    Args:
        job: the plan, and how to carry it out.
        numbers: of the shards; at least one.
        jobs: worker processes.

    Raises:
        FacetoolError: the photos cannot be read at all, or no result written.
    """
    settings = job.represent
    embedder = Embedder(
        job.network, settings.device, settings.dtype, settings.flip, settings.engine
    )
    jobs = min(jobs, sum(map(job.plan.size_of, numbers)))
    with pooled_cropping(job.align, job.plan.keep_crops, jobs, job.detector_device) as cropping:
        yield from embed_shards(job, numbers, cropping, embedder, jobs)
