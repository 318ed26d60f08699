"""The ``align`` stage: a folder of photos becomes a folder of crops and a manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from facetool.cropping.changes import PhotoChanges, check_inputs, kept_crops, with_earlier
from facetool.cropping.crop_writer import CropRows, CropWriter
from facetool.cropping.detectors import create_detector, detector_device, detector_weights
from facetool.cropping.face_cropper import NOT_UPRIGHT, keep_to_one_core
from facetool.cropping.photo_cropper import PhotoCropper, photo_chunks
from facetool.cropping.remarks import remarks_among
from facetool.cropping.settings import AlignSettings
from facetool.cropping.video_cropper import VideoCropper
from facetool.detection.options import DetectionSettings
from facetool.errors import ImageError, UsageError
from facetool.files.align_journal import AlignedPhoto, AlignJournal, recorded_frames
from facetool.files.align_manifest import AlignRow
from facetool.files.crop_names import crop_stems
from facetool.files.lock import sole_writer
from facetool.files.output_file import check_folder
from facetool.files.paths import optional_path
from facetool.files.text import counted
from facetool.images.changes import state_now
from facetool.images.formats import VIDEO
from facetool.images.inputs import Images, one_of, open_photos, unsupported_files
from facetool.images.video import videos_among
from facetool.jobs.device_pool import open_pool
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import follow, progress_bar
from facetool.jobs.report import Report
from facetool.jobs.shared_progress import SharedProgress
from facetool.jobs.stopwatch import Stopwatch
from facetool.jobs.worker_process import WORKER_DIED, refuse_in_import

if TYPE_CHECKING:
    import torch

__all__ = ["AlignSettings", "align"]


class _Task(NamedTuple):
    """One photo or video.

    Attributes:
        source: its name in INPUT.
        name: its name in ``align.csv``.
        stem: path of its crops below OUTPUT, without suffix.
        video: whether it is one.
    """

    source: str
    name: str
    stem: str
    video: bool


def align(
    input: str | Path,
    output: str | Path,
    settings: AlignSettings,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    device: str | torch.device = "auto",
    null: bool = False,
    into: str = "",
    by_content: bool = False,
    keep_gone: bool = False,
) -> Report:
    """Cut the faces out of all photos under ``input``, or bring ``output`` up to date with them.

    Of videos every so many seconds a frame is searched, and a face is cut out once for each time it
    is in sight, where its detector's score is highest. Videos in folders are left alone unless
    the settings say ``every``.

    Writes ``OUTPUT/<person>/<image>.png``, ``align.csv`` (one row per face or missed image),
    ``align.json`` (settings and counts) and ``inputs.csv`` (what each photo was). A run that was
    stopped is continued by the next one. A later run does what is new, has changed or failed,
    and removes the crops of photos that are gone: its files are those of a fresh run.

    Args:
        input: image folder, ``.rec`` file, photo, video, or list of these (``-``: on stdin).
        output: where the crops go; may lie inside ``input``.
        settings: recipe and policies.
        jobs: worker processes; default: all available cores.
        overwrite: start over where ``output`` holds crops already.
        device: where a detector on PyTorch runs: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; on a
            GPU the workers are threads that share it.
        null: paths in a list are separated by NUL.
        into: name to keep these crops under, beside those of other inputs: a folder of
            ``output``, and the beginning of their names in ``align.csv``.
        by_content: find photos that changed by their content instead of size and time.
        keep_gone: keep the crops of photos that are gone, unless ``overwrite`` starts over.

    Raises:
        UsageError: input and output do not go together, or there is no such detector or device.
        OutputError: a result cannot be written.
        WeightsError: the detector's weights are not there.
        FacetoolError: no worker can start.
    """
    input, output = Path(input), Path(output)
    refuse_in_import()
    check_folder(output, input)
    if into.startswith(".") or Path(into).name != into or not into.isprintable():
        raise UsageError(
            f"into={into!r}: give a plain name, which becomes a folder of {output}",
            f"into={into!r}",
        )
    if settings.fallback is not None and not Path(settings.fallback).is_dir():
        raise UsageError(
            f"fallback={str(settings.fallback)!r}: not a folder",
            f"fallback={str(settings.fallback)!r}",
        )
    detects_on = check_detector(settings, device)
    folder = open_photos(input, output, null, "named" if settings.every is None else "all")
    if not (folder.names or folder.unreadable or folder.unsupported):
        raise UsageError(f"there are no images in {input}")
    keep_gone = keep_gone and not overwrite
    with sole_writer(output):
        inputs = {into: str(folder.place.resolve())}
        frames = {} if overwrite else recorded_frames(output)
        names: Sequence[str] = folder.names
        kept: Sequence[str] = ()
        if not overwrite:
            inputs = check_inputs(folder, output, into)
            names = names if input.is_dir() else with_earlier(folder, output, into)
            kept = kept_crops(folder, output, names, into, keep_gone=keep_gone)
        passed_over = input.is_dir() and settings.every is None
        videos = frozenset[str]() if passed_over else videos_among(folder, names)
        tasks = _plan(names, into, videos, kept, several=settings.select == "all")
        if any(task.video for task in tasks):
            frames[into] = _frames_text(settings.frames)
        changes = PhotoChanges(
            images=folder,
            crops={task.name: task.stem for task in tasks},
            settings=replace(settings.description(), inputs=inputs, frames=frames or None),
            under=into,
            others=[name for name in inputs if name],
            by_content=by_content,
            keep_gone=keep_gone,
            videos={task.name for task in tasks if task.video},
        )
        report = Report()
        with AlignJournal(output, changes.settings, overwrite, changes.keep) as journal:
            for name, rows in changes.gone.items():
                if keep_gone:
                    report.done("kept of photos that are gone", rows)
                else:
                    report.done("removed", rows)
                    report.tell(name, "it is gone, and so are its crops now")
            _count_kept([*changes.crops, *changes.hidden], journal, report)
            for name, before in changes.resampled.items():
                report.tell(name, f"searched again: frames {before} before, {frames[into]} now")
            _align_tasks(folder, output, settings, tasks, journal, report, jobs, detects_on)
    _report_unread(folder, changes, report)
    return report


def _count_kept(names: Iterable[str], journal: AlignJournal, report: Report) -> None:
    """Count rows of earlier runs, as those of new photos are counted."""
    statuses = Counter(status for name in names for status in journal.kept.get(name, ()))
    report.done("already there", statuses.total())
    report.also("had no face before", statuses["no-face"])


def _report_unread(folder: Images, changes: PhotoChanges, report: Report) -> None:
    """Say which files are not read, and of which videos crops of an earlier run stay."""
    under, hidden = f"{changes.under}/" if changes.under else "", set(changes.hidden)
    known = {
        name: under + name for name in folder.unsupported.get(VIDEO, ()) if under + name in hidden
    }
    unread = {
        kind: [name for name in names if name not in known]
        for kind, names in folder.unsupported.items()
    }
    for skipped in unsupported_files(unread):
        report.failed(*skipped)
    if not known:
        return
    before = (changes.settings.frames or {}).get(changes.under, "")
    advice = f"give every=SECONDS for that ({before} before)"
    changed = set(changes.replaced).intersection(known.values())
    if same := [name for name in known if known[name] not in changed]:
        why = f"not searched again, crops of before stay ({one_of(same)}); {advice}"
        report.tell(counted(len(same), "video"), why)
    for name in sorted(changed):
        report.failed(name, f"it has changed, and its crops of before stay; {advice}")


def _align_tasks(
    folder: Images,
    output: Path,
    settings: AlignSettings,
    tasks: Sequence[_Task],
    journal: AlignJournal,
    report: Report,
    jobs: int | None,
    device: str,
) -> None:
    todo = [task for task in tasks if task.name not in journal]
    with progress_bar("align", len(tasks), len(tasks) - len(todo)) as bar:
        videos = SharedProgress()
        shown = videos.shown_beside(bar, "s of video")
        with shown if any(task.video for task in todo) else nullcontext():
            for photos in _process(folder, output, settings, todo, jobs, device, videos):
                journal.add(photos)
                for photo in photos:
                    count_rows(photo.rows, report)
                bar.update(len(photos))
    unlisted = [
        AlignedPhoto([AlignRow(name, "failed", reason)], None) for name, reason in folder.unreadable
    ]
    journal.add(unlisted)
    for photo in unlisted:
        count_rows(photo.rows, report)
    journal.finish()


def check_detector(
    settings: AlignSettings, device: str | torch.device, *, elsewhere: bool = False
) -> str:
    """Where the detector will run: ``cpu``, ``cuda`` or ``cuda:N``.

    Args:
        settings: with the detector.
        device: where it may run; ``mps`` is for embedding networks.
        elsewhere: on other machines, which may have devices that this one lacks.

    Raises:
        UsageError: there is no such detector or device.
        WeightsError: the detector's weights are not on this machine.
    """
    name = settings.crop.detector
    given = (settings.detection or DetectionSettings()).weights
    detector_weights(name, given)
    if given is not None:  # whether it can be read: workers would die of it, at each photo
        create_detector(name, settings.detection, device="cpu")
    return detector_device(name, device, elsewhere=elsewhere)


def _plan(
    names: Sequence[str],
    into: str,
    videos: Collection[str],
    kept: Collection[str],
    several: bool,
) -> list[_Task]:
    under = f"{into}/" if into else ""
    return [
        _Task(name, under + name, under + stem, name in videos)
        for name, stem in zip(names, crop_stems(names, several, videos, kept), strict=True)
    ]


def _frames_text(every: float | str) -> str:
    return f"every {every}" if isinstance(every, str) else f"every {every:g} s"


def _process(
    folder: Images,
    output: Path,
    settings: AlignSettings,
    todo: Sequence[_Task],
    jobs: int | None,
    device: str,
    progress: SharedProgress,
) -> Iterator[list[AlignedPhoto]]:
    """The photos in order, some at a time, then the videos, the longest first."""
    if not todo:
        return
    jobs = min(jobs or available_cores(), len(todo))
    arguments = (folder, output, settings, device, progress)
    with open_pool(
        _align_chunk, _worker_died, _create_worker, arguments, jobs, device=device
    ) as pool:
        photos = photo_chunks([task for task in todo if not task.video], jobs, device)
        videos = [task for task in todo if task.video]
        videos.sort(key=lambda task: -_length(folder, task))  # so that none is last and alone
        yield from pool.map([*photos, *([task] for task in videos)])


def _length(folder: Images, task: _Task) -> int:
    """Bytes of a video, which grow with its seconds."""
    try:
        return folder.stat(task.source)[0]
    except ImageError:  # whoever reads it will say so
        return 0


def count_rows(rows: Sequence[AlignRow], report: Report) -> None:
    """Count what became of a photo, and tell what there is to say of it."""
    for kind, remark in remarks_on(rows):
        report.note(rows[0].input, kind, remark)
    for row in rows:
        if row.status == "failed":
            report.failed(row.input, row.reason)
        else:
            report.done(row.status)


def remarks_on(rows: Sequence[AlignRow]) -> Iterator[tuple[str, str]]:
    """What there is to say of a photo besides its outcome: kinds, and in words."""
    reasons = [row.reason for row in rows if row.status != "failed"]
    yield from remarks_among(reasons)
    if any(reason.startswith(NOT_UPRIGHT) for reason in reasons):
        yield "not upright", rows[0].reason


# What follows runs in the worker processes.


class _Worker(NamedTuple):
    folder: Images
    photos: PhotoCropper
    writer: CropWriter
    every: float | str
    progress: SharedProgress


def _create_worker(
    folder: Images,
    output: Path,
    settings: AlignSettings,
    device: str,
    progress: SharedProgress,
) -> _Worker:
    keep_to_one_core(settings.crop, device)
    # The workers read by name only: the list of names would be a copy in each of them.
    folder = folder.without_names()
    return _Worker(
        folder,
        PhotoCropper(folder, settings.cropper(device), settings.strict),
        CropWriter(
            output,
            CropRows(
                settings.crop,
                settings.select,
                settings.on_no_face,
                optional_path(settings.fallback),
                settings.min_face,
                settings.min_sharpness,
            ),
        ),
        settings.frames,
        progress,
    )


def _align_chunk(worker: _Worker, tasks: Sequence[_Task]) -> list[AlignedPhoto]:
    if tasks[0].video:
        return [_align_video(worker, task) for task in tasks]
    photos = worker.photos.crop([task.source for task in tasks], Stopwatch())
    return [
        worker.writer.write(photo, task.name, task.stem)
        for task, photo in zip(tasks, photos, strict=True)
    ]


def _align_video(worker: _Worker, task: _Task) -> AlignedPhoto:
    path = worker.folder.place / task.source
    video = VideoCropper(path, worker.every, worker.photos.cropper, worker.writer.rows.rank)
    try:
        state = state_now(worker.folder, task.source)
    except ImageError as error:
        return AlignedPhoto([AlignRow(task.name, "failed", str(error))], None)
    with follow(worker.progress):
        rows = worker.writer.write_video(video, task.name, task.stem, strict=worker.photos.strict)
    return AlignedPhoto(rows, state)


def _worker_died(task: _Task) -> AlignedPhoto:
    return AlignedPhoto([AlignRow(task.name, "failed", WORKER_DIED)], None)
