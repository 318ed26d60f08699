"""The ``embed`` stage: photos become shards of faces, on one machine or many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import torch

from facetool._version import __version__
from facetool.cropping.settings import AlignSettings
from facetool.embedding.embedder import resolve_dtype
from facetool.embedding.settings import RepresentSettings
from facetool.errors import ImageError, UsageError, check_range
from facetool.files.align_manifest import AlignRow
from facetool.files.embed_plan import (
    PER_SHARD,
    EmbedPlan,
    LatestPlans,
    ListedPhoto,
    PlannedPhotos,
    Shard,
    need_pyarrow,
    read_plans,
    write_plan,
)
from facetool.files.face_shards import (
    DamagedShardError,
    check_shard,
    present_shards,
)
from facetool.files.storage import Storage, is_url, open_storage
from facetool.files.text import counted
from facetool.images.sources import PhotoSource, open_source
from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import listener, progress_bar
from facetool.jobs.report import Report
from facetool.jobs.worker_process import refuse_in_import
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import ALL_GPUS, resolve_device
from facetool.pipeline.align import check_detector, count_rows
from facetool.runners.job import EmbedJob, ShardOutcome
from facetool.runners.local import run_here

_CHECKS = 8
"""Shards of earlier runs that are read at a time."""


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """What is decided when a run begins.

    Attributes:
        align: which faces are cut out, and how; no fallback.
        represent: how embeddings are computed.
        per_shard: photos of a shard; default: as the run was begun with, which is
            :data:`facetool.files.embed_plan.PER_SHARD`.
        keep_crops: keep the crops in the shards.

    Raises:
        UsageError: there are no photos in a shard.
    """

    align: AlignSettings
    represent: RepresentSettings
    per_shard: int | None = None
    keep_crops: bool = False

    def __post_init__(self) -> None:
        if self.per_shard is not None:
            check_range("per_shard", self.per_shard, 1)


class _CheckedShard(NamedTuple):
    """What a shard holds of photos that no later plan has.

    Attributes:
        number: of the shard.
        rows: how many have not failed.
        no_face: so many of these are of photos without a face.
        failed: photo and reason of the others.
    """

    number: int
    rows: int
    no_face: int
    failed: Sequence[tuple[str, str]]


def embed(
    photos: str | Path,
    output: str | Path,
    network: EmbeddingNetwork,
    settings: EmbedSettings,
    *,
    shard: tuple[int, int] = (0, 1),
    ray: str | None = None,
    jobs: int | None = None,
    null: bool = False,
) -> Report:
    """Find, cut out and embed the faces of all photos.

    Whoever comes first writes ``plan.json``: the photos as they are then, the settings, the
    weights. Everybody else goes by it, and a shard that is there is not made again. When all
    shards are there and photos have come, changed or gone since, another plan takes those.

    Args:
        photos: see :func:`facetool.images.sources.open_source`.
        output: folder or URL.
        network: from :func:`facetool.load_network`.
        settings: which faces, and how they are embedded; the device ``cuda:all`` gives every GPU
            of the Ray cluster, or else of this machine, a process of its own.
        shard: (I, N): work on every N-th shard only, from the I-th, where I counts from 0.
        ray: address of a Ray cluster, or ``auto``; None: this machine's processes.
        jobs: worker processes; on Ray the CPUs that a shard takes.
        null: paths in a list are separated by NUL.

    Raises:
        UsageError: the photos and what is in ``output`` do not go together, there is no such
            device, or Ray is needed and not installed.
        OutputError: a result cannot be written.
        WeightsError: the detector's weights are not there.
        FacetoolError: no worker can start, or a store does not answer.
    """
    refuse_in_import()
    need_pyarrow()
    settings, ray = _with_device(settings, network, ray)
    if ray is not None:
        from facetool.runners.on_ray import need_ray

        need_ray()
    index, parts = shard
    if not 0 <= index < parts:
        raise UsageError(f"shard={shard}: give (I, N) with I from 0 to N - 1", f"shard={shard}")
    storage = open_storage(str(output))
    source = open_source(str(photos), None if is_url(str(output)) else Path(output), null)
    may_use = str(settings.represent.device)
    if may_use.startswith("mps"):
        may_use = "cpu"
    device = check_detector(settings.align, may_use, elsewhere=ray is not None)
    earlier, made = _agree(storage, _wanted(source, network, settings), source, settings.per_shard)
    plans = [*earlier, *made]
    report = Report()
    if index == 0:
        for name, reason, count in plans[-1].unlisted:
            report.failed(name, reason, count)
        _tell_gone([name for plan in made for name in plan.gone], report)
    latest = LatestPlans(storage, plans)
    for plan in plans:
        job = EmbedJob(
            plan=plan,
            storage=storage,
            source=source,
            network=network,
            align=settings.align,
            represent=settings.represent,
            detector_device=device,
        )
        numbers = range(index, plan.shards, parts)
        total = sum(map(plan.size_of, numbers))
        present = present_shards(storage, plan.number).intersection(numbers)
        whole = set(_whole_shards(job, sorted(present), latest, report))
        missing = [number for number in numbers if number not in whole]
        done = sum(map(plan.size_of, whole))
        with progress_bar("embed", total, done) as bar:
            for outcome in _run(job, missing, ray, jobs):
                _count([row for row in outcome.rows if latest.count(row.input, plan)], report)
                bar.update(plan.size_of(outcome.record.shard))
    return report


def _with_device(
    settings: EmbedSettings, network: EmbeddingNetwork, ray: str | None
) -> tuple[EmbedSettings, str | None]:
    """Settings with the device and dtype that are meant, and the address of Ray that they need.

    Raises:
        UsageError: there is no such device or dtype.
    """
    represent = settings.represent
    if str(represent.device) == ALL_GPUS:
        if ray is None:
            resolve_device("cuda")  # there has to be one before anything is written
        represent, ray = replace(represent, device="cuda"), ray or "auto"
    if ray is not None and str(represent.device).startswith("cuda"):
        device = torch.device("cuda")  # the GPUs of a cluster need not be on this machine
        dtype = resolve_dtype(represent.dtype, device, network)
        represent = replace(represent, device=device, dtype=dtype)
    else:
        represent = represent.resolve(network)
    return replace(settings, represent=represent), ray


def _run(
    job: EmbedJob, missing: Sequence[int], ray: str | None, jobs: int | None
) -> Iterator[ShardOutcome]:
    if not missing:
        return iter(())
    _check_source(job, missing[0])
    if ray is None:
        return run_here(job, missing, jobs or available_cores())
    from facetool.runners.on_ray import run_on_ray

    return run_on_ray(job, missing, ray, jobs or 1)


def _wanted(source: PhotoSource, network: EmbeddingNetwork, settings: EmbedSettings) -> EmbedPlan:
    """The plan for these settings, still without photos."""
    return EmbedPlan(
        source=source.place,
        photos=0,
        per_shard=settings.per_shard or PER_SHARD,
        listing="",
        align=settings.align.description(),
        represent=settings.represent.description(network),
        keep_crops=settings.keep_crops,
        facetool=__version__,
    )


def _agree(
    storage: Storage, wanted: EmbedPlan, source: PhotoSource, per_shard: int | None
) -> tuple[list[EmbedPlan], list[EmbedPlan]]:
    """The plans that are to be carried out: earlier ones, and, if need be, one that is made now.

    Args:
        storage: OUT.
        wanted: a plan for the settings, still without photos.
        source: of the photos.
        per_shard: photos of a shard that somebody asked for; None where nobody did.

    Raises:
        UsageError: those that are there are of other settings or photos.
    """
    plans = read_plans(storage)
    for plan in plans:
        reason = plan.difference(wanted)
        if not reason and per_shard not in (None, plan.per_shard):
            reason = f"{counted(plan.per_shard, 'photo')} in a shard there, {per_shard:,} here"
        if reason:
            raise UsageError(
                f"{storage.place} was begun with other settings ({reason}); give those, or choose "
                "another OUT"
            )
    if plans:
        wanted = replace(wanted, per_shard=plans[-1].per_shard)
    if all(len(present_shards(storage, plan.number)) >= plan.shards for plan in plans):
        return plans, _plan_rest(storage, plans, wanted, source)
    return plans, []


def _plan_rest(
    storage: Storage, plans: Sequence[EmbedPlan], wanted: EmbedPlan, source: PhotoSource
) -> list[EmbedPlan]:
    """A plan for the photos that none has yet, or that lie elsewhere now; else no plan.

    Raises:
        UsageError: there are no photos, or they are not those of the plans.
    """
    known = _planned(storage, plans)
    found = source.listing(known)
    if not (plans or found.photos or found.unlisted):
        raise UsageError(f"there are no images in {source.place}")
    now = {photo.name: photo for photo in found.photos}
    hidden = [name for name, _, _ in found.unlisted]
    gone = [name for name in known if name not in now and not _is_below(name, hidden)]
    if known and len(gone) == len(known):
        raise UsageError(
            f"{storage.place} holds faces of the photos in {plans[-1].source}, none of which is "
            f"in {source.place}; choose another OUT"
        )
    moved = bool(plans) and plans[-1].source != source.place
    if moved and known:
        _say_they_moved(storage, plans[-1].source, known, source, now)
    new = [photo for photo in found.photos if known.get(photo.name) != photo]
    if plans and not (moved or new or gone) and plans[-1].unlisted == tuple(found.unlisted):
        return []
    plan = replace(
        wanted, number=len(plans) + 1, photos=len(new), gone=gone, unlisted=found.unlisted
    )
    return [write_plan(storage, plan, new)]


def _planned(storage: Storage, plans: Sequence[EmbedPlan]) -> dict[str, ListedPhoto]:
    """The photos of all plans, each as the last one has it."""
    known: dict[str, ListedPhoto] = {}
    for plan in plans:
        for name in plan.gone:
            known.pop(name, None)
        for shard in PlannedPhotos(storage, plan):
            known.update((photo.name, photo) for photo in shard.photos)
    return known


def _say_they_moved(
    storage: Storage,
    before: str,
    known: Mapping[str, ListedPhoto],
    source: PhotoSource,
    now: Mapping[str, ListedPhoto],
) -> None:
    """Tell that the photos lie elsewhere now.

    Raises:
        UsageError: they are others.
    """
    copied = Path(before).exists()
    for name, photo in known.items():
        if name not in now or not _is_same(photo, now[name], by_version=copied):
            raise UsageError(
                f"{storage.place} holds faces of the photos in {before}, and {name} is not the "
                f"same in {source.place}; choose another OUT"
            )
    listener().remark(
        source.place,
        f"taken for {before}, moved or copied: its {counted(len(known), 'photo')} all there, "
        f"{len(now) - len(known):,} new",
    )


def _is_same(then: ListedPhoto, now: ListedPhoto, *, by_version: bool) -> bool:
    """Whether a photo is as it was; one that was moved may have another time, but not size."""
    if by_version or not now.size:  # that of a record is not known
        return (then.size, then.version) == (now.size, now.version)
    return then.size == now.size


def _is_below(name: str, places: Sequence[str]) -> bool:
    """Whether a photo may be there, but where nothing can be listed."""
    return any(name == place or name.startswith(f"{place}/") for place in places)


def _check_source(job: EmbedJob, number: int) -> None:
    """Refuse photos that are not those of the plan.

    Raises:
        UsageError: so it is.
    """
    if job.source.place == job.plan.source:
        return
    first = PlannedPhotos(job.storage, job.plan).shard(number).photos[0]
    try:
        size, _ = job.source.files([first])[0].stat(first.name)
    except (ImageError, KeyError):
        size = None
    if size is None or first.size not in (0, size):
        raise UsageError(
            f"{job.storage.place} was begun with the photos in {job.plan.source}, and {first.name} "
            f"is not the same in {job.source.place}; choose another OUT"
        )


def _tell_gone(names: Sequence[str], report: Report) -> None:
    for name in names:
        report.done("removed")
        report.tell(name, "the photo is gone, and its embeddings no longer count")


def _whole_shards(
    job: EmbedJob, numbers: Sequence[int], latest: LatestPlans, report: Report
) -> Iterator[int]:
    """Those shards that need not be made again; what became of their photos is counted.

    Args:
        job: the plan.
        numbers: of the shards that are there.
        latest: tells photos that were replaced, or are gone, since.
        report: what is counted.
    """

    def check(shard: Shard) -> _CheckedShard | DamagedShardError:
        try:
            _, rows = check_shard(job.storage, job.plan, shard)
        except DamagedShardError as error:
            return error
        kept = [row for row in rows if latest.count(row.photo, job.plan)]
        failed = [(row.photo, row.reason) for row in kept if row.status == "failed"]
        no_face = sum(row.status == "no-face" for row in kept)
        return _CheckedShard(shard.number, len(kept) - len(failed), no_face, failed)

    photos = PlannedPhotos(job.storage, job.plan)
    with ThreadPoolExecutor(_CHECKS, "check") as threads:
        for found in ordered_map(
            lambda number: threads.submit(check, photos.shard(number)),
            Future.result,
            numbers,
            2 * _CHECKS,
        ):
            if isinstance(found, DamagedShardError):
                listener().remark(str(found), "it is made again")
                continue
            for photo, reason in found.failed:
                report.failed(photo, reason)
            report.done("already there", found.rows)
            report.also("had no face before", found.no_face)
            yield found.number


def _count(rows: Sequence[AlignRow], report: Report) -> None:
    for _, photo in groupby(rows, lambda row: row.input):
        count_rows(list(photo), report)
