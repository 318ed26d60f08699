"""The ``align`` stage: a folder of photos becomes a folder of crops and a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from facetool.alignment.landmarks import Points
from facetool.alignment.recipes import Crop
from facetool.cropping.changes import PhotoChanges, check_inputs, with_earlier
from facetool.cropping.crop_names import crop_stems
from facetool.cropping.detectors import describe_detector, detector_weights
from facetool.cropping.face_cropper import (
    ODD_PHOTO_ERRORS,
    TOO_LARGE,
    FaceCropper,
    LocatedFaces,
    keep_to_one_core,
    points_of,
)
from facetool.detection.face import Face
from facetool.detection.options import SELECTIONS, DetectionSettings
from facetool.detection.registry import detector_entry
from facetool.errors import ImageError, UsageError, check_choice
from facetool.files.align_description import ON_NO_FACE, AlignDescription
from facetool.files.align_journal import AlignedPhoto, AlignJournal
from facetool.files.align_manifest import CHOICES, AlignRow
from facetool.files.atomic import atomic_write
from facetool.files.image_states import ImageState
from facetool.files.lock import sole_writer
from facetool.images.changes import read_with_state
from facetool.images.inputs import Images, open_photos, unsupported_files
from facetool.images.png import encode_png
from facetool.images.read import TRUNCATED, RGBImage, decode_photo
from facetool.jobs.ordered_map import chunks_for
from facetool.jobs.pool import (
    WORKER_DIED,
    OrderedPool,
    available_cores,
    map_in_threads,
)
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report

_CHUNK = 16
_GPU_CHUNK = 32
_BATCH_PIXELS = 2**23
"""Photos of a chunk that are held and detected together."""


@dataclass(frozen=True, kw_only=True)
class AlignSettings:
    """What decides how a crop looks; a folder holds crops of one kind only.

    Attributes:
        crop: the recipe.
        detection: how the recipe's detector is used; default: as it is by itself.
        select: ``largest``, ``center``, ``all`` or ``only``.
        on_no_face: ``skip`` (no crop), ``center`` (cut around the centre) or ``fail`` (no crop,
            and the input counts as failed).
        fallback: folder whose same-named image, scaled to the crop's size, stands in for a
            photo without a face, as OpenFace's ``--fallbackLfw``.
        predictor: 5 or 68 for dlib's landmarks instead of those the recipe comes with.
        strict: photos that lack their last bytes fail.

    Raises:
        UsageError: there is no such choice.
    """

    crop: Crop
    detection: DetectionSettings | None = None
    select: str = "largest"
    on_no_face: str = "skip"
    fallback: Path | None = None
    predictor: int | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        check_choice("select", self.select, SELECTIONS)
        check_choice("on_no_face", self.on_no_face, ON_NO_FACE)

    def description(self) -> AlignDescription:
        """The settings as they stand in ``align.json``."""
        return AlignDescription(
            crop=self.crop.as_dict(),
            detector=describe_detector(self.crop.detector, self.detection),
            select=self.select,
            on_no_face=self.on_no_face,
            fallback=str(self.fallback) if self.fallback else None,
            points=points_of(self.crop, self.predictor),
            strict=self.strict,
        )


_Rows = list[AlignRow]
"""All rows of one photo."""


class _Task(NamedTuple):
    """One photo.

    Attributes:
        source: its name in INPUT.
        name: its name in ``align.csv``.
        stem: path of its crops below OUTPUT, without suffix.
    """

    source: str
    name: str
    stem: str


def align(
    input: Path,
    output: Path,
    settings: AlignSettings,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    device: str = "auto",
    null: bool = False,
    into: str = "",
    by_content: bool = False,
    keep_gone: bool = False,
) -> Report:
    """Cut the faces out of all photos under ``input``, or bring ``output`` up to date with them.

    Writes ``OUTPUT/<person>/<image>.png``, ``align.csv`` (one row per face or missed image),
    ``align.json`` (settings and counts) and ``inputs.csv`` (what each photo was). A run that was
    stopped is continued by the next one. A later run does what is new, has changed or failed,
    and removes the crops of photos that are gone: its files are those of a fresh run.

    Args:
        input: image folder, ``.rec`` file, photo, or list of photos (``-``: on stdin).
        output: where the crops go; may lie inside ``input``.
        settings: recipe and policies.
        jobs: worker processes; default: all available cores.
        overwrite: start anew where ``output`` holds crops already.
        device: where a detector on PyTorch runs; on a GPU the workers are threads that share it.
        null: the paths of a list end in NUL.
        into: name to keep these crops under, beside those of other inputs: a folder of
            ``output``, and the beginning of their names in ``align.csv``.
        by_content: find photos that changed by their content instead of size and time.
        keep_gone: keep the crops of photos that are gone.

    Raises:
        UsageError: the folders cannot be used as asked.
        OutputError: a result cannot be written.
        WeightsError: the detector's weights are not there.
    """
    if input.resolve() == output.resolve():
        raise UsageError("INPUT and OUTPUT are the same folder; choose another OUTPUT")
    if into.startswith(".") or Path(into).name != into:
        raise UsageError(
            f"into={into!r}: give a plain name, which becomes a folder of {output}",
            f"into={into!r}",
        )
    if settings.fallback is not None and not settings.fallback.is_dir():
        raise UsageError(
            f"fallback={str(settings.fallback)!r}: not a folder",
            f"fallback={str(settings.fallback)!r}",
        )
    device = _detector_device(settings, device)
    folder = open_photos(input, output, null)
    if not (folder.names or folder.unreadable or folder.unsupported):
        raise UsageError(f"there are no images in {input}")
    with sole_writer(output):
        inputs = {into: str(folder.place.resolve())}
        names: Sequence[str] = folder.names
        if not overwrite:
            inputs = check_inputs(folder, output, into)
            names = names if input.is_dir() else with_earlier(folder, output, into)
        tasks = _plan(names, into, several=settings.select == "all")
        changes = PhotoChanges(
            images=folder,
            crops={task.name: f"{task.stem}.png" for task in tasks},
            settings=replace(settings.description(), inputs=inputs),
            under=into,
            others=[name for name in inputs if name],
            by_content=by_content,
            keep_gone=keep_gone,
        )
        journal = AlignJournal(output, changes.settings, overwrite, changes.keep)
        report = Report()
        for name in changes.gone:
            report.note(name, "removed", "the photo is gone, and so are its crops now")
        _align_tasks(folder, output, settings, tasks, journal, report, jobs, device)
    for skipped in unsupported_files(folder):
        report.failed(*skipped)
    return report


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
    if len(todo) < len(tasks):
        report.done("already there", len(tasks) - len(todo))
    with progress_bar("align", len(tasks), len(tasks) - len(todo)) as bar:
        for photos in _process(folder, output, settings, todo, jobs, device):
            journal.add(photos)
            for photo in photos:
                _count(photo.rows, report)
            bar.update(len(photos))
    unlisted = [
        AlignedPhoto([AlignRow(name, "failed", reason)], None) for name, reason in folder.unreadable
    ]
    journal.add(unlisted)
    for photo in unlisted:
        _count(photo.rows, report)
    journal.finish()


def _detector_device(settings: AlignSettings, device: str) -> str:
    """``cpu``, ``cuda`` or ``cuda:N``; what the detector needs is looked for, too."""
    detector_weights(settings.crop.detector, (settings.detection or DetectionSettings()).weights)
    if not detector_entry(settings.crop.detector).torch:
        return "cpu"
    from facetool.embedding.embedder import resolve_device

    return str(resolve_device(device))


def _plan(names: Sequence[str], into: str, several: bool) -> list[_Task]:
    under = f"{into}/" if into else ""
    return [
        _Task(name, under + name, under + stem)
        for name, stem in zip(names, crop_stems(names, several), strict=True)
    ]


def _process(
    folder: Images,
    output: Path,
    settings: AlignSettings,
    todo: Sequence[_Task],
    jobs: int | None,
    device: str,
) -> Iterator[list[AlignedPhoto]]:
    """The photos in order, some at a time."""
    if not todo:
        return
    jobs = min(jobs or available_cores(), len(todo))
    chunks = chunks_for(jobs, todo, _CHUNK if device == "cpu" else _GPU_CHUNK)
    arguments = (folder, output, settings, device)
    if device != "cpu":
        worker = _create_worker(*arguments)
        yield from map_in_threads(partial(_align_chunk, worker), chunks, jobs)
        return
    with OrderedPool(_align_chunk, _worker_died, _create_worker, arguments, jobs) as pool:
        yield from pool.map(chunks)


def _count(rows: Sequence[AlignRow], report: Report) -> None:
    if any(TRUNCATED in row.reason and row.status != "failed" for row in rows):
        report.note(rows[0].input, "truncated", TRUNCATED)
    if any(TOO_LARGE in row.reason and row.status != "failed" for row in rows):
        report.note(rows[0].input, "scaled down", rows[0].reason)
    for row in rows:
        if row.status == "failed":
            report.failed(row.input, row.reason)
        else:
            report.done(row.status)


# What follows runs in the worker processes.


class _Worker(NamedTuple):
    folder: Images
    output: Path
    settings: AlignSettings
    cropper: FaceCropper


def _create_worker(folder: Images, output: Path, settings: AlignSettings, device: str) -> _Worker:
    if device == "cpu":
        keep_to_one_core(settings.crop)
    cropper = FaceCropper(
        settings.crop,
        settings.detection,
        settings.select,
        assume_center=settings.on_no_face == "center" and settings.fallback is None,
        predictor=settings.predictor,
        device=device,
    )
    # The workers read by name only: the list of names would be a copy in each of them.
    return _Worker(folder.without_names(), output, settings, cropper)


def _worker_died(task: _Task) -> AlignedPhoto:
    return AlignedPhoto([AlignRow(task.name, "failed", WORKER_DIED)], None)


_Photo = tuple[_Task, RGBImage]

_EXPECTED = (ImageError, *ODD_PHOTO_ERRORS)
"""What one photo may raise. Other errors, a file that cannot be written or a model that is not
there, concern every photo."""


def _align_chunk(worker: _Worker, tasks: Sequence[_Task]) -> list[AlignedPhoto]:
    """What becomes of photos that are held, and detected together, up to a number of pixels."""
    rows: dict[str, _Rows] = {}
    photos: list[_Photo] = []
    states: dict[str, ImageState] = {}
    remarks: dict[str, list[str]] = {}
    for task in tasks:
        try:
            data, states[task.name] = read_with_state(worker.folder, task.source)
            image, lacking = decode_photo(data)
            if lacking and worker.settings.strict:
                raise ImageError(TRUNCATED)
            photos.append((task, image))
            said = [TRUNCATED if lacking else "", worker.cropper.remark(image)]
            remarks[task.name] = [remark for remark in said if remark]
        except _EXPECTED as error:
            rows[task.name] = [_failed(task, error)]
        if sum(image.size for _, image in photos) >= 3 * _BATCH_PIXELS:
            rows.update(_align_photos(worker, photos))
            photos = []
    rows.update(_align_photos(worker, photos))
    for name, said in remarks.items():
        rows[name] = [_with_remarks(row, said) for row in rows[name]]
    return [AlignedPhoto(rows[task.name], states.get(task.name)) for task in tasks]


def _with_remarks(row: AlignRow, remarks: Sequence[str]) -> AlignRow:
    return row._replace(reason="; ".join(filter(None, (row.reason, *remarks))))


def _align_photos(worker: _Worker, photos: Sequence[_Photo]) -> dict[str, _Rows]:
    try:
        found = worker.cropper.detect([image for _, image in photos])
    except _EXPECTED as error:
        if len(photos) == 1:
            task = photos[0][0]
            return {task.name: [_failed(task, error)]}
        alone = [_align_photos(worker, [photo]) for photo in photos]
        return {name: rows for one in alone for name, rows in one.items()}
    rows: dict[str, _Rows] = {}
    located = []
    for (task, image), faces in zip(photos, found, strict=True):
        try:
            located.append((task, image, worker.cropper.locate(image, faces)))
        except _EXPECTED as error:
            rows[task.name] = [_failed(task, error)]
    # All landmarks come before the first crop: the predictor's 9 MB of trees stay in the cache.
    rows.update((photo[0].name, _save_faces(worker, *photo)) for photo in located)
    for (task, _), faces in zip(photos, found, strict=True):
        rows[task.name] = [_with_choice(worker, row, len(faces)) for row in rows[task.name]]
    return rows


def _with_choice(worker: _Worker, row: AlignRow, faces: int) -> AlignRow:
    """A row that says of how many faces its crop is one, where that was for a rule to choose."""
    rule = CHOICES.get(worker.settings.select)
    if rule is None or faces < 2 or row.status != "aligned":
        return row
    return row._replace(reason=f"{rule} {faces} faces")


def _save_faces(worker: _Worker, task: _Task, image: RGBImage, located: LocatedFaces) -> _Rows:
    faces, missed = located
    try:
        if not faces:
            return [_without_face(worker, task, missed)]
        return [
            _save_face(worker, task, image, *face, number)._replace(reason=missed)
            for number, face in enumerate(faces, 1)
        ]
    except _EXPECTED as error:
        return [_failed(task, error)]


def _failed(task: _Task, error: Exception) -> AlignRow:
    if isinstance(error, ImageError):
        return AlignRow(task.name, "failed", str(error))
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return AlignRow(task.name, "failed", f"cannot be aligned: {reason}")


def _without_face(worker: _Worker, task: _Task, reason: str) -> AlignRow:
    if worker.settings.fallback is not None:
        stand_in = _fallback_crop(worker.settings.fallback, task, worker.settings.crop)
        if stand_in is not None:
            name = _write_crop(worker.output, task.stem, stand_in)
            return AlignRow(task.name, "fallback", reason, output=name)
    if worker.settings.on_no_face == "fail":
        return AlignRow(task.name, "failed", reason)
    return AlignRow(task.name, "no-face", reason)


def _fallback_crop(fallback: Path, task: _Task, crop: Crop) -> RGBImage | None:
    """The image of the same name, whatever its suffix, scaled to the crop's size."""
    import cv2

    from facetool.images.formats import SUFFIXES
    from facetool.images.read import read_image

    wanted = PurePosixPath(task.source)
    beside = sorted((fallback / wanted).parent.glob("*"))
    for path in beside:
        if path.stem == wanted.stem and path.suffix.lower() in SUFFIXES:
            size = (crop.width, crop.height)
            scaled = cv2.resize(read_image(path), size, interpolation=cv2.INTER_AREA)
            return np.asarray(scaled, dtype=np.uint8)
    return None


def _save_face(
    worker: _Worker, task: _Task, image: RGBImage, face: Face, landmarks: Points, number: int
) -> AlignRow:
    stem = task.stem if number == 1 else f"{task.stem}.face{number}"
    left, top, right, bottom = (_number(edge) for edge in face.box)
    return AlignRow(
        task.name,
        "aligned" if face.found else "center",
        "",
        left,
        top,
        right,
        bottom,
        f"{face.score:.6g}" if face.found else "",
        " ".join(_number(value) for value in landmarks.ravel()),
        _write_crop(worker.output, stem, worker.cropper.cut(image, landmarks)),
        str(face.turn) if face.found else "",
    )


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _write_crop(output: Path, stem: str, image: RGBImage) -> str:
    name = f"{stem}.png"
    with atomic_write(output / name) as file:
        file.write(encode_png(image))
    return name
