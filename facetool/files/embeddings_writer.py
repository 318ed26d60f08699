"""Writing embeddings as they come, so that a stopped run loses at most one batch."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError, UsageError
from facetool.files.atomic import output_errors, part_path, remove_link
from facetool.files.durable import sync_file, sync_folder
from facetool.files.image_states import INPUTS_CSV, STATES_HEADER, ImageState, format_state
from facetool.files.json_file import parse_json
from facetool.files.lock import is_locked, sole_writer
from facetool.files.represent_description import (
    REPRESENT_JSON,
    RepresentDescription,
    read_represent_description,
    write_represent_description,
)
from facetool.files.text import same_spelling

REPS_CSV = "reps.csv"
LABELS_CSV = "labels.csv"
REPS_NPY = "reps.npy"
_RENAMING = "renaming"
"""Key of the journal's last entry: all files are whole, their renaming has begun."""
_FILES = (REPS_CSV, LABELS_CSV, REPS_NPY, INPUTS_CSV)


class EmbeddingsWriter:
    """Grows ``reps.csv``, ``labels.csv``, ``reps.npy`` and ``inputs.csv`` batch by batch.

    The files grow under part names and take their own in :meth:`finish`, all or none: what a
    kill leaves undone there, :func:`complete_renames` does. After each batch a journal notes
    their lengths and checksums; a later writer with the same settings cuts them back to the last
    batch that is whole, after a power cut, too, and goes on from there.

    Args:
        folder: where the files go.
        size: numbers in an embedding.
        settings: what must be the same for a stopped run to be continued; counts are not there
            yet.

    Attributes:
        batches: complete batches already on disk.
        failures: (name, reason) of the images that failed in those batches.
    """

    def __init__(self, folder: Path, size: int, settings: RepresentDescription) -> None:
        self.folder = folder
        self.size = size
        self.batches = 0
        self.rows = 0
        self.failures: list[tuple[str, str]] = []
        self._settings = json.loads(json.dumps(settings.as_dict()))
        self._files: dict[str, IO[bytes]] = {}
        self._checksums = dict.fromkeys(_FILES, 0)
        """CRC-32 of each file's batches."""

    def __enter__(self) -> EmbeddingsWriter:
        with ExitStack() as opened:  # an error gives the folder free again
            opened.enter_context(sole_writer(self.folder))
            with output_errors(self.folder):
                self._open(opened)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        with output_errors(self.folder):  # closing writes what is left
            self._opened.close()

    def _open(self, opened: ExitStack) -> None:
        """Open the files, cut back to the last complete batch; ``opened`` will close them."""
        journal = self._part("journal")
        remove_link(journal)
        lengths = self._read_journal(journal)
        mode = "r+b" if self.batches else "wb"
        for name in _FILES:
            remove_link(self._part(name))
            file = opened.enter_context(self._part(name).open(mode))
            self._files[name] = file
            file.truncate(lengths.get(name, 0))
            file.seek(0, io.SEEK_END)
        self._journal = opened.enter_context(journal.open("ab" if self.batches else "wb"))
        if not self.batches:
            self._files[REPS_NPY].write(_npy_header(0, self.size))
            self._files[INPUTS_CSV].write(STATES_HEADER.encode("ascii"))
            self._note(self._settings)

    def add(
        self,
        vectors: NDArray[np.float32],
        labels: Sequence[tuple[int, str]],
        states: Sequence[ImageState],
        failures: Sequence[tuple[str, str]],
    ) -> None:
        """Append a batch.

        Args:
            vectors: (N, size).
            labels: N pairs of label number and image path.
            states: N images as they were read.
            failures: images of the batch that have no row, with the reason.

        Raises:
            OutputError: the disk is full or the like.
        """
        layout = ",".join(["%.9g"] * self.size) + "\n"  # nine digits bring a float32 back
        text = "".join(layout % tuple(row) for row in vectors.tolist())
        lines = "".join(f"{number},{_csv_text(path)}\n" for number, path in labels)
        inputs = "".join(
            format_state(path, state) for (_, path), state in zip(labels, states, strict=True)
        )
        batch = {
            REPS_CSV: text.encode("ascii"),
            LABELS_CSV: lines.encode("utf-8", "surrogateescape"),
            INPUTS_CSV: inputs.encode("utf-8", "surrogateescape"),
            REPS_NPY: np.ascontiguousarray(vectors, "<f4").tobytes(),
        }
        with output_errors(self.folder / REPS_CSV):
            for name, data in batch.items():
                self._files[name].write(data)
                self._files[name].flush()
                self._checksums[name] = zlib.crc32(data, self._checksums[name])
            self.rows += len(vectors)
            self.batches += 1
            lengths = {name: file.tell() for name, file in self._files.items()}
            self._note(
                {
                    "rows": self.rows,
                    "lengths": lengths,
                    "checksums": self._checksums,
                    "failures": list(failures),
                }
            )
        self.failures.extend(failures)

    def finish(self, description: RepresentDescription) -> None:
        """Give all files their names, ``represent.json`` with ``description`` among them."""
        with output_errors(self.folder / REPS_NPY):
            npy = self._files[REPS_NPY]
            npy.seek(0)
            npy.write(_npy_header(self.rows, self.size))
            for name, file in self._files.items():
                file.close()
                sync_file(self._part(name))
            sums = {name: crc32_of(self._part(name)) for name in (REPS_CSV, LABELS_CSV, REPS_NPY)}
            self._note({_RENAMING: replace(description, crc32=sums).as_dict()})
            self._journal.close()
            sync_file(self._part("journal"))
            sync_folder(self.folder)
            complete_renames(self.folder)

    def _part(self, name: str) -> Path:
        return _part(self.folder, name)

    def _note(self, entry: Mapping[str, Any]) -> None:
        self._journal.write(json.dumps(entry).encode("ascii") + b"\n")
        self._journal.flush()

    def _read_journal(self, path: Path) -> dict[str, int]:
        """Lengths of the files after the last whole batch of a stopped run like this one."""
        if not path.is_file():
            return {}
        lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is half a line
        try:
            first, *entries = [parse_json(line, str(path)) for line in lines]
            if first != self._settings or (entries and _RENAMING in entries[-1]):
                return {}
            if not all(self._part(name).is_file() for name in _FILES):
                return {}
            notes = [_Note.of(entry) for entry in entries]
        except (FormatError, ValueError):  # damaged, empty, or of another version
            return {}
        whole = self._count_whole(notes)
        if not whole:
            return {}
        last = notes[whole - 1]
        self.batches, self.rows, self._checksums = whole, last.rows, dict(last.checksums)
        self.failures = [failure for note in notes[:whole] for failure in note.failures]
        with path.open("r+b") as journal:
            journal.truncate(sum(len(line) + 1 for line in lines[: whole + 1]))
        return last.lengths

    def _count_whole(self, notes: Sequence[_Note]) -> int:
        """How many batches are in all files as they were written."""
        whole = len(notes)
        for name in _FILES:
            start, checksum = self._start(name), 0
            with self._part(name).open("rb") as file:
                there = file.seek(0, io.SEEK_END)
                file.seek(start)
                for number, note in enumerate(notes[:whole]):
                    data = file.read(max(0, min(note.lengths[name], there) - start))
                    start += len(data)
                    checksum = zlib.crc32(data, checksum)
                    if (start, checksum) != (note.lengths[name], note.checksums[name]):
                        whole = number
                        break
        return whole

    def _start(self, name: str) -> int:
        """Where the batches of a file begin."""
        heads = {REPS_NPY: len(_npy_header(0, self.size)), INPUTS_CSV: len(STATES_HEADER)}
        return heads.get(name, 0)


class _Note(NamedTuple):
    """What the journal says after a batch.

    Attributes:
        rows: in all batches so far.
        lengths: of the files.
        checksums: CRC-32 of each file's batches so far.
        failures: (name, reason) of the batch's images that have no row.
    """

    rows: int
    lengths: dict[str, int]
    checksums: dict[str, int]
    failures: list[tuple[str, str]]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> _Note:
        """A line of the journal.

        Raises:
            ValueError: it is none.
        """
        try:
            lengths, checksums = (
                {name: int(entry[key][name]) for name in _FILES} for key in ("lengths", "checksums")
            )
            failures = [(str(name), str(why)) for name, why in entry["failures"]]
            return cls(int(entry["rows"]), lengths, checksums, failures)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(str(error)) from None


def number_people(names: Sequence[str]) -> dict[str, int]:
    """Label numbers by folder, from 1 in sorted order, as OpenFace's ``batch-represent``."""
    people = {name: same_spelling(name.rpartition("/")[0]) for name in names}
    numbers = {person: number for number, person in enumerate(sorted(set(people.values())), 1)}
    return {name: numbers[person] for name, person in people.items()}


def crc32_of(path: Path) -> int:
    """The CRC-32 of a file.

    Raises:
        OSError: it cannot be read.
    """
    checksum = 0
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            checksum = zlib.crc32(data, checksum)
    return checksum


def own_files(folder: Path) -> list[Path]:
    """The files of a represent folder, whether they are there or not."""
    return [folder / name for name in (*_FILES, REPRESENT_JSON)]


def complete_renames(folder: Path) -> None:
    """Give the files of a finished run their names, where a kill has left some without."""
    description = unfinished_renames(folder)
    if description is None:
        return
    with output_errors(folder / REPS_NPY):
        for name in _FILES:
            part = _part(folder, name)
            if part.exists():
                part.replace(folder / name)
        write_represent_description(folder, description)
        _part(folder, "journal").unlink()


def earlier_description(folder: Path, *, overwrite: bool) -> RepresentDescription:
    """What a folder that is to be written says of its embeddings; nothing where it is started over.

    Args:
        folder: where the files will go.
        overwrite: start over, whatever it holds.

    Raises:
        FormatError: its description is damaged.
        UsageError: it holds embeddings that nothing describes, such as OpenFace's.
        OutputError: a killed run's last step cannot be done.
    """
    if overwrite:
        return RepresentDescription()
    try:
        if is_locked(folder) or unfinished_renames(folder) is not None:
            with sole_writer(folder):
                complete_renames(folder)
        found = read_represent_description(folder)
    except FormatError as error:
        raise FormatError(f"{error}; start over with overwrite=True", "overwrite=True") from error
    there = [name for name in _FILES if (folder / name).exists()]
    if there and found.counts is None:
        raise UsageError(
            f"{folder} holds {there[0]}, and no {REPRESENT_JSON} that says of which images; choose "
            "another folder or start over with overwrite=True",
            "overwrite=True",
        )
    return found


def unfinished_renames(folder: Path) -> RepresentDescription | None:
    """What ``represent.json`` is to say where a run was killed among its renames, else None.

    Such a folder may hold rows of two runs.
    """
    journal = _part(folder, "journal")
    if not journal.is_file():
        return None
    last = journal.read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        description = parse_json(last, str(journal)).get(_RENAMING)
        return (
            RepresentDescription.from_dict(description) if isinstance(description, dict) else None
        )
    except FormatError:  # cut in its last line, or damaged: that run was not finished
        return None


def _part(folder: Path, name: str) -> Path:
    return part_path(folder / (name if name != "journal" else "represent.journal"))


def _npy_header(rows: int, size: int) -> bytes:
    """A .npy header; NumPy pads it, so its length does not depend on the number of rows."""
    header = io.BytesIO()
    layout = {"descr": "<f4", "fortran_order": False, "shape": (rows, size)}
    np.lib.format.write_array_header_1_0(header, layout)
    return header.getvalue()


def _csv_text(path: str) -> str:
    """A path without ends of lines as the last column of a CSV line; quoted where it must be."""
    if "," in path:
        return '"' + path.replace('"', '""') + '"'
    return path
