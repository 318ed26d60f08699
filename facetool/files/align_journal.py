"""What the runs of ``align`` on one output folder have done, on disk while they run."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import IO, NamedTuple

from facetool._version import __version__
from facetool.errors import FormatError, UsageError
from facetool.files.align_description import (
    AlignDescription,
    read_description,
    write_description,
)
from facetool.files.align_manifest import (
    ALIGN_CSV,
    MADE_CROP,
    AlignRow,
    format_row,
    parse_rows,
    read_manifest,
    write_manifest,
)
from facetool.files.atomic import atomic_write, output_errors, part_path
from facetool.files.json_file import parse_json

JOURNAL = part_path(Path("align.journal")).name

_Rows = list[AlignRow]
"""All rows of one photo."""


class AlignJournal:
    """The rows of every photo that is done; of each only its place is kept in memory.

    They grow in a file of their own, below a line with the settings, in the order of the work, and
    become ``align.csv``, in the order of the names, when all is done. What earlier runs did,
    finished or stopped, counts as done; photos that failed, or whose crop is gone, do not.

    Args:
        output: folder of the crops.
        settings: how the crops are made; a folder holds crops of one kind only.
        overwrite: start anew where ``output`` holds crops already. What a stopped run with the
            same settings did is kept: it was itself told to overwrite, or had nothing finished
            to protect.

    Raises:
        UsageError: ``output`` holds crops made with other settings.
        FormatError: its manifest cannot be read.
        OutputError: the journal cannot be written.
    """

    def __init__(self, output: Path, settings: AlignDescription, overwrite: bool) -> None:
        self._output, self._settings = output, settings
        self._path = output / JOURNAL
        self._places: dict[str, tuple[int, int]] = {}
        runs = _earlier_runs(output)
        if overwrite and not any(run.stopped and not run.difference(settings) for run in runs):
            for run in runs:
                run.remove(output)
            runs = []
        if differences := [reason for run in runs if (reason := run.difference(settings))]:
            raise UsageError(
                f"{output} holds crops made with other settings ({differences[0]}); "
                "choose another OUTPUT or make them anew with --overwrite"
            )
        self._file: IO[bytes]
        with atomic_write(self._path) as self._file:
            self._file.write(json.dumps(self._settings.as_dict()).encode() + b"\n")
            self._end = self._file.tell()
            for rows in chain.from_iterable(run.photos() for run in runs):
                if self._still_valid(rows):
                    self.add([rows])
                else:
                    self._places.pop(rows[0].input, None)
        with output_errors(self._path):
            self._file = self._path.open("r+b")

    def __contains__(self, name: str) -> bool:
        """Whether the photo of that name is done."""
        return name in self._places

    def add(self, photos: Iterable[_Rows]) -> None:
        """Write down the rows of photos."""
        text = b""
        for rows in photos:
            start = self._end + len(text)
            text += "".join(map(format_row, rows)).encode("utf-8", "surrogateescape")
            self._places[rows[0].input] = (start, self._end + len(text))
        with output_errors(self._path):
            self._file.seek(self._end)
            self._file.write(text)
            self._file.flush()
        self._end += len(text)

    def finish(self) -> None:
        """Write ``align.json`` and ``align.csv``; the journal is gone then."""
        names = sorted(self._places)
        counts = Counter(row.status for name in names for row in self._rows(name))
        write_description(
            self._output,
            replace(self._settings, counts=dict(sorted(counts.items())), facetool=__version__),
        )
        write_manifest(self._output, chain.from_iterable(map(self._rows, names)))
        self._file.close()
        self._path.unlink()

    def _rows(self, name: str) -> Iterator[AlignRow]:
        start, end = self._places[name]
        self._file.seek(start)
        text = self._file.read(end - start).decode("utf-8", "surrogateescape")
        return parse_rows(io.StringIO(text, newline=""))

    def _still_valid(self, rows: _Rows) -> bool:
        return all(
            row.status == "no-face"
            or (row.status in MADE_CROP and (self._output / row.output).is_file())
            for row in rows
        )


class _Run(NamedTuple):
    """An earlier run: its manifest or journal, and its settings."""

    path: Path
    settings: AlignDescription
    stopped: bool

    def difference(self, settings: AlignDescription) -> str | None:
        return self.settings.difference(settings)

    def photos(self) -> Iterator[_Rows]:
        """The rows of each photo. The last of a journal may have lost some, so it is left out."""
        photos = (list(rows) for _, rows in groupby(self._rows(), attrgetter("input")))
        return (rows for rows, _ in pairwise(photos)) if self.stopped else photos

    def remove(self, output: Path) -> None:
        """Remove what it made, so that no crop of another kind stays behind."""
        root = output.resolve()
        for row in self._rows():
            made = (output / row.output).resolve()
            if row.output and made.suffix == ".png" and root in made.parents:
                made.unlink(missing_ok=True)
        self.path.unlink()

    def _rows(self) -> Iterator[AlignRow]:
        return _read_journal(self.path) if self.stopped else read_manifest(self.path)


def _earlier_runs(output: Path) -> list[_Run]:
    """A finished run and a stopped one, where there are."""
    runs = []
    manifest, journal = output / ALIGN_CSV, output / JOURNAL
    if manifest.is_file():
        runs.append(_Run(manifest, read_description(output) or AlignDescription(), False))
    if journal.is_file():
        runs.append(_Run(journal, _journal_settings(journal), True))
    return runs


def _journal_settings(path: Path) -> AlignDescription:
    with path.open("rb") as file:
        try:
            return AlignDescription.from_dict(parse_json(file.readline(), str(path)))
        except FormatError:
            raise FormatError(f"{path} is not a journal of align; remove it") from None


def _read_journal(path: Path) -> Iterator[AlignRow]:
    """The rows of a journal. What follows a row that was not written whole does not count."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.readline()
        lines = (line for line in file if line.endswith(("\n", "\r")))
        try:
            yield from parse_rows(lines)
        except FormatError:
            return
