"""What the runs of ``align`` on one output folder have done, on disk while they run."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import IO, NamedTuple

from facetool._version import __version__
from facetool.errors import FormatError, UsageError
from facetool.files.align_description import (
    AlignDescription,
    read_align_description,
    write_align_description,
)
from facetool.files.align_manifest import (
    ALIGN_CSV,
    MADE_CROP,
    AlignRow,
    format_row,
    read_manifest,
    row_of,
    write_manifest,
)
from facetool.files.atomic import atomic_write, output_errors, part_path
from facetool.files.durable import ends_with, sync_file_system
from facetool.files.image_states import ImageState, read_states, write_states
from facetool.files.json_file import parse_json
from facetool.files.text import csv_rows

JOURNAL = part_path(Path("align.journal")).name

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
"""The last bytes of a PNG file."""

_CELLS_OF_0_1 = 10
"""A line of a journal written by 0.1, which knew no states."""


class AlignedPhoto(NamedTuple):
    """What became of one photo.

    Attributes:
        rows: one per face, or the one that says why there is none.
        state: the photo as it was read; None where it could not be, or where 0.1 read it.
    """

    rows: list[AlignRow]
    state: ImageState | None

    @property
    def name(self) -> str:
        """The photo's path as in ``align.csv``."""
        return self.rows[0].input


Keep = Callable[[AlignedPhoto, AlignDescription], AlignedPhoto | None]
"""Gets what an earlier run made of a photo and its settings; gives back what still holds."""


class AlignJournal:
    """The rows of every photo that is done; of each only its place is kept in memory.

    They grow in a file of their own, below a line with the settings, in the order of the work, and
    become ``align.csv`` and ``inputs.csv``, in the order of the names, when all is done. Photos
    whose crop is gone or empty do not count as done.

    Args:
        output: folder of the crops.
        settings: how the crops are made; a folder holds crops of one kind only.
        overwrite: start over where ``output`` holds crops already. What a stopped run with the
            same settings did is kept: it was itself told to overwrite, or had nothing finished
            to protect.
        keep: called for each photo that an earlier run did, finished or stopped; the crops of those
            that it does not keep are removed.

    Attributes:
        kept: photos kept of earlier runs, with the statuses of their rows.

    Raises:
        UsageError: ``output`` holds crops made with other settings.
        FormatError: its manifest cannot be read.
        OutputError: the journal cannot be written.
    """

    def __init__(
        self, output: Path, settings: AlignDescription, overwrite: bool, keep: Keep
    ) -> None:
        self._output, self._settings = output, settings
        self._path = output / JOURNAL
        self._places: dict[str, tuple[int, int]] = {}
        self.kept: dict[str, tuple[str, ...]] = {}
        runs = _earlier_runs(output)
        if overwrite and not any(run.stopped and not run.difference(settings) for run in runs):
            for run in runs:
                run.remove(output)
            runs = []
        if differences := [reason for run in runs if (reason := run.difference(settings))]:
            raise UsageError(
                f"{output} holds crops made with other settings ({differences[0]}); "
                "choose another OUTPUT or start over with overwrite=True",
                "overwrite=True",
            )
        self._file: IO[bytes]
        with atomic_write(self._path, "w+b") as self._file:
            self._file.write(json.dumps(self._settings.as_dict()).encode() + b"\n")
            self._end = self._file.tell()
            dropped: set[str] = set()
            # A stopped run began with what it kept of the finished one.
            for run in runs[-1:]:
                for photo in run.photos(output):
                    there = self._has_crops(photo, look_inside=run.stopped)
                    kept = keep(photo, run.settings) if there else None
                    if kept is None:
                        self._places.pop(photo.name, None)
                        dropped.update(row.output for row in photo.rows)
                    else:
                        self.add([kept])
                        self.kept[kept.name] = tuple(row.status for row in kept.rows)
            if dropped:  # but what an older version wrote for two photos
                dropped.difference_update(row.output for one in self._photos() for row in one.rows)
                _remove_crops(output, dropped)
        with output_errors(self._path):
            self._file = self._path.open("r+b")

    def __contains__(self, name: str) -> bool:
        """Whether the photo of that name is done."""
        return name in self._places

    def add(self, photos: Iterable[AlignedPhoto]) -> None:
        """Write down what became of photos."""
        text = b""
        for photo in photos:
            start = self._end + len(text)
            text += _format(photo).encode("utf-8", "surrogateescape")
            self._places[photo.name] = (start, self._end + len(text))
        with output_errors(self._path):
            self._file.seek(self._end)
            self._file.write(text)
            self._file.flush()
        self._end += len(text)

    def finish(self) -> None:
        """Write ``align.json``, ``inputs.csv`` and ``align.csv``; the journal is gone then."""
        with output_errors(self._output):
            sync_file_system(self._output)  # the crops, which the manifest will say are there
        counts: Counter[str] = Counter()
        times = False
        for photo in self._photos():
            counts.update(row.status for row in photo.rows)
            times = times or any(row.time for row in photo.rows)
        write_states(
            self._output,
            ((photo.name, photo.state) for photo in self._photos() if photo.state is not None),
        )
        write_align_description(
            self._output,
            replace(self._settings, counts=dict(sorted(counts.items())), facetool=__version__),
        )
        rows = chain.from_iterable(photo.rows for photo in self._photos())
        write_manifest(self._output, rows, times=times)
        self.close()
        self._path.unlink()

    def close(self) -> None:
        """Let go of the journal, which the next run goes on with where it was not finished."""
        self._file.close()

    def __enter__(self) -> AlignJournal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _photos(self) -> Iterator[AlignedPhoto]:
        """All photos, in the order of their names."""
        for name in sorted(self._places):
            start, end = self._places[name]
            self._file.seek(start)
            text = self._file.read(end - start).decode("utf-8", "surrogateescape")
            yield from _parse(io.StringIO(text, newline=""))

    def _has_crops(self, photo: AlignedPhoto, look_inside: bool) -> bool:
        """Whether a photo's crops are there; a stopped run's may not have come onto the disk."""
        crops = [self._output / row.output for row in photo.rows if row.status in MADE_CROP]
        if look_inside:
            return all(ends_with(crop, _PNG_END) for crop in crops)
        return all(crop.is_file() and crop.stat().st_size for crop in crops)


class _Run(NamedTuple):
    """An earlier run: its manifest or journal, and its settings."""

    path: Path
    settings: AlignDescription
    stopped: bool

    def difference(self, settings: AlignDescription) -> str | None:
        return self.settings.difference(settings)

    def remove(self, output: Path) -> None:
        """Remove what it made, so that no crop of another kind stays behind."""
        for photo in self.photos(output, cut=True):
            _remove_crops(output, [row.output for row in photo.rows])
        self.path.unlink()

    def photos(self, output: Path, *, cut: bool = False) -> Iterator[AlignedPhoto]:
        """What it did; ``cut``: with the last photo of a journal even if it may have lost rows."""
        if self.stopped:
            return _read_journal(self.path, cut)
        states = read_states(output)
        photos = groupby(read_manifest(self.path), lambda row: row.input)
        return (AlignedPhoto(list(rows), states.get(name)) for name, rows in photos)


def recorded_inputs(output: Path) -> dict[str, str]:
    """The input folders whose crops ``output`` holds, by the name they are kept under."""
    runs = _earlier_runs(output)
    return dict(runs[-1].settings.inputs or {}) if runs else {}


def recorded_frames(output: Path) -> dict[str, str]:
    """Which frames of the videos of these folders were searched, by the same names."""
    runs = _earlier_runs(output)
    return dict(runs[-1].settings.frames or {}) if runs else {}


def recorded_photos(output: Path) -> list[str]:
    """Names of the photos that earlier runs on ``output`` have done."""
    return [photo.name for run in _earlier_runs(output)[-1:] for photo in run.photos(output)]


def recorded_rows(output: Path) -> Iterator[AlignRow]:
    """Rows of the photos that earlier runs on ``output`` have done."""
    photos = chain.from_iterable(run.photos(output) for run in _earlier_runs(output)[-1:])
    return chain.from_iterable(photo.rows for photo in photos)


def _earlier_runs(output: Path) -> list[_Run]:
    """A finished run and a stopped one, where there are."""
    runs = []
    manifest, journal = output / ALIGN_CSV, output / JOURNAL
    if manifest.is_file():
        runs.append(_Run(manifest, read_align_description(output) or AlignDescription(), False))
    if journal.is_file():
        runs.append(_Run(journal, _journal_settings(journal), True))
    return runs


def _journal_settings(path: Path) -> AlignDescription:
    with path.open("rb") as file:
        try:
            return AlignDescription.from_dict(parse_json(file.readline(), str(path)))
        except FormatError:
            raise FormatError(f"{path} is not a journal of align; remove it") from None


def _read_journal(path: Path, cut: bool) -> Iterator[AlignedPhoto]:
    """The photos of a journal. What follows a row that was not written whole does not count."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.readline()
        lines = (line for line in file if line.endswith(("\n", "\r")))
        try:
            yield from _parse(chain(lines, ["\n"] if cut else []))
        except FormatError:
            return


def _remove_crops(output: Path, crops: Iterable[str]) -> None:
    """Remove crops, and the folders that are empty then; never anything outside ``output``."""
    root = output.resolve()
    for crop in crops:
        made = (output / crop).resolve()
        if not crop or made.suffix != ".png" or root not in made.parents:
            continue
        with output_errors(made):
            made.unlink(missing_ok=True)
        for folder in made.parents:
            if folder == root or not _remove_if_empty(folder):
                break


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _format(photo: AlignedPhoto) -> str:
    """CSV lines of a row each: the photo's state, empty where it is not known, and the row.

    The empty line below them says that they are all.
    """
    state = ",".join(map(str, photo.state)) if photo.state else ",,"
    return "".join(f"{state},{format_row(row)}" for row in photo.rows) + "\n"


def _parse(lines: Iterable[str]) -> Iterator[AlignedPhoto]:
    """The inverse of :func:`_format`, without a last photo that may have lost rows.

    Journals of 0.1 have no empty lines: there a photo is whole once another one follows.

    Raises:
        FormatError: a line is no CSV, or has too few or too many columns.
    """
    state, rows = None, list[AlignRow]()
    for _, cells in csv_rows(lines):
        found = _parse_row(cells) if cells else None
        if rows and (found is None or found[1].input != rows[0].input):
            yield AlignedPhoto(rows, state)
            rows = []
        if found is not None:
            state, row = found
            rows.append(row)


def _parse_row(cells: list[str]) -> tuple[ImageState | None, AlignRow]:
    state, row = (cells[:3], cells[3:]) if len(cells) > _CELLS_OF_0_1 + 2 else (["", "", ""], cells)
    try:
        size, modified, sha256 = state
        return ImageState(int(size), int(modified), sha256) if size else None, row_of(row)
    except ValueError as error:
        raise FormatError(str(error)) from None
