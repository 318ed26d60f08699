"""Reading a represent folder: embeddings, the images they belong to, and where they come from.

A folder holds ``reps.npy`` (float32, N x D) or ``reps.csv`` (one row per image, no header),
``labels.csv`` (``<label number>,<image path>`` in the same order) and, unless OpenFace itself or
another program wrote it, ``represent.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import SEEK_END
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError
from facetool.files.embed_plan import plan_name
from facetool.files.embeddings_writer import (
    LABELS_CSV,
    REPS_CSV,
    REPS_NPY,
    crc32_of,
    number_people,
    unfinished_renames,
)
from facetool.files.represent_description import RepresentDescription, read_represent_description
from facetool.files.storage import FolderStorage
from facetool.files.stored_faces import open_faces, planned_description
from facetool.files.text import counted, read_text, reading
from facetool.jobs.progress import listener

_ROWS = 4096
"""Of a store of faces, read at a time."""

_LONGEST_NUMBER = 20
"""Letters of a number in ``reps.csv``, its comma among them, and some to spare."""

_COUNTED = 64 << 20
"""Bytes of a ``reps.csv`` whose rows are counted in no time."""

_CHANGED = "has changed since facetool wrote it"

_PANDAS = "from pandas write it with to_csv(..., index=False, header=False)"


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The embeddings of a folder of images.

    Attributes:
        names: N image paths as in ``labels.csv``.
        labels: int64 (N,), the number of each image's person.
        vectors: float32 (N, D), finite.
        description: ``represent.json``; says nothing where there is none.
    """

    names: list[str]
    labels: NDArray[np.int64]
    vectors: NDArray[np.float32]
    description: RepresentDescription = field(default_factory=RepresentDescription)

    @property
    def missed_faces(self) -> set[str]:
        """Names of images whose face was missed and which a stand-in crop represents."""
        return set(self.description.missed_faces or ())


NPY_DAMAGE = (
    ValueError,
    SyntaxError,
    TokenError,
    TypeError,
    OverflowError,
    RecursionError,
    EOFError,
)
"""What NumPy raises for a damaged head, which it reads as Python's literals."""


def describe_embeddings(folder: Path) -> RepresentDescription:
    """Where the embeddings of a represent folder, or of what ``embed`` has written, come from.

    Of the latter it is what the plan says, without counts and lists of images.

    Raises:
        FormatError: there are no embeddings, or the description is damaged.
    """
    if (folder / plan_name(1)).is_file():
        return planned_description(FolderStorage(folder))
    _find_reps(folder)
    return read_represent_description(folder)


def read_embeddings(folder: str | Path) -> Embeddings:
    """Read a represent folder, or what embed wrote; ``reps.npy`` is preferred to ``reps.csv``.

    Raises:
        FormatError: a file is missing or damaged, or they do not fit each other.
        UsageError: embed wrote it, and pyarrow is not installed.
    """
    folder = Path(folder)
    if (folder / plan_name(1)).is_file():
        return _read_faces(folder)
    if unfinished_renames(folder):
        raise FormatError(f"{folder}: represent was killed at its end; run it again first")
    source = _find_reps(folder)
    vectors = _read_npy(source) if source.name == REPS_NPY else _read_csv(source)
    check_finite_rows(source, vectors, np.arange(len(vectors)))
    if not (folder / "labels.csv").exists():
        raise FormatError(
            f"{source} holds {counted(len(vectors), 'embedding')}, but there is no labels.csv "
            "beside it to say of which images; it has a line <label number>,<image path> for each "
            "row"
        )
    labels, names = _read_labels(folder / "labels.csv")
    if len(names) != len(vectors):
        raise FormatError(
            f"{source} has {counted(len(vectors), 'row')}, but labels.csv beside it names "
            f"{counted(len(names), 'image')}; they must come from the same run"
        )
    description = read_represent_description(folder)
    if _is_changed(source, description.crc32):
        listener().remark(str(source), _CHANGED)
    return Embeddings(names, labels, vectors, description)


def _find_reps(folder: Path) -> Path:
    for name in (REPS_NPY, REPS_CSV):
        if (folder / name).is_file():
            return folder / name
    raise FormatError(
        f"{folder}: neither reps.npy nor reps.csv is there; make them with facetool represent"
    )


def _read_faces(folder: Path) -> Embeddings:
    """What embed wrote, all of it."""
    faces = open_faces(FolderStorage(folder))
    if faces.lack:
        raise FormatError(faces.lack)
    vectors = np.empty((len(faces.faces), faces.size), np.float32)
    start = 0
    for names, batch in faces.batches(_ROWS):
        vectors[start : start + len(names)] = batch
        start += len(names)
    names = faces.names
    people = number_people(names)
    labels = np.array([people[name] for name in names], np.int64)
    return Embeddings(names, labels, vectors, faces.description)


def first_not_finite(vectors: NDArray[np.float32]) -> int | None:
    """The first of embeddings (N, D) with a NaN or an infinity."""
    # One sum per row shows them all without a second array of this size.
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(vectors.sum(axis=1, dtype=np.float64))
    return int(bad.argmax()) if bad.any() else None


def check_finite_rows(source: Path, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
    """Refuse embeddings (N, D) with a NaN or an infinity.

    Args:
        source: their file.
        vectors: some of its embeddings.
        rows: int (N,), which rows of the file these are, from 0.

    Raises:
        FormatError: the first of them that has one.
    """
    if (bad := first_not_finite(vectors)) is not None:
        raise FormatError(
            f"{source}: row {rows[bad] + 1} has a value that is not finite; make the "
            "folder again with overwrite=True",
            "overwrite=True",
        )


def map_embeddings(folder: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Names (N) and embeddings (N, D) of a folder that facetool wrote, the latter left on disk.

    Raises:
        FormatError: a file is missing or damaged, or they do not fit each other.
    """
    path = folder / "reps.npy"
    vectors = _map_npy(path)
    names = _read_labels(folder / "labels.csv")[1]
    if len(names) != len(vectors):
        raise FormatError(f"{folder}: reps.npy and labels.csv are not of the same run")
    return names, vectors


def map_whole(
    folder: Path, size: int, crc32: Mapping[str, int] | None
) -> tuple[list[str], NDArray[np.float32]]:
    """The same of a folder that ``EmbeddingsWriter`` wrote and nobody has touched since.

    Args:
        folder: the folder.
        size: numbers in an embedding.
        crc32: the checksums of its ``represent.json``; before 0.2.0 there were none.

    Raises:
        FormatError: a file is missing, damaged or changed, or they do not fit each other.
            Without checksums only the ends of a large ``reps.csv`` are looked at.
    """
    names, vectors = map_embeddings(folder)
    if vectors.shape[1] != size:
        raise FormatError(f"{folder / REPS_NPY}: embeddings of {vectors.shape[1]}, not of {size}")
    _check_text(folder / REPS_CSV, vectors)
    for name in (REPS_NPY, REPS_CSV, LABELS_CSV):
        if _is_changed(folder / name, crc32):
            raise FormatError(f"{folder / name} {_CHANGED}")
    return names, vectors


def _is_changed(path: Path, crc32: Mapping[str, int] | None) -> bool:
    """Whether a file is not as it was written, where it is known how that was."""
    expected = (crc32 or {}).get(path.name)
    with reading(path):
        return expected is not None and crc32_of(path) != expected


def _check_text(path: Path, vectors: NDArray[np.float32]) -> None:
    """Refuse a ``reps.csv`` that does not say the same as ``reps.npy``."""
    longest = _LONGEST_NUMBER * vectors.shape[1]
    with reading(path), path.open("rb") as file:
        first = file.readline(longest)
        whole = file.seek(0, SEEK_END)
        file.seek(max(0, whole - longest))
        last = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
        file.seek(0)
        rows = file.read().count(b"\n") if whole <= _COUNTED else len(vectors)
    if (
        not rows
        or rows != len(vectors)
        or not (_is_row(first, vectors[0]) and _is_row(last, vectors[-1]))
    ):
        raise FormatError(f"{path} and {REPS_NPY} are not of the same run")


def _is_row(line: bytes, vector: NDArray[np.float32]) -> bool:
    try:
        return np.array_equal(np.array(line.split(b","), np.float32), vector)
    except ValueError:
        return False


def bad_npy(path: Path) -> FormatError:
    """What to say of a ``.npy`` file that NumPy refuses, in words that fit its parser only."""
    return FormatError(
        f"{path}: not a whole NumPy array file; it is cut, damaged or of another kind, so make it "
        "again"
    )


def _read_npy(path: Path) -> NDArray[np.float32]:
    return np.array(_map_npy(path), np.float32)


def _map_npy(path: Path) -> NDArray[Any]:
    """Embeddings (N, D), left on disk: no memory is taken for what the file does not hold."""
    try:
        with reading(path):
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except NPY_DAMAGE as error:
        raise bad_npy(path) from error
    _check_shape(path, array)
    return array


def _check_shape(path: Path, array: NDArray[Any]) -> None:
    if array.ndim != 2 or array.dtype.kind != "f":
        raise FormatError(
            f"{path}: expected floating-point numbers of shape (N, D), "
            f"found {array.dtype} of shape {array.shape}"
        )


def _read_csv(path: Path) -> NDArray[np.float32]:
    lines = read_text(path).splitlines()
    if not lines:
        raise FormatError(f"{path}: the file is empty")
    if ";" in lines[0]:  # as spreadsheets write it where the decimal mark is a comma
        lines = [line.replace(",", ".").replace(";", ",") for line in lines]
    separator = "," if "," in lines[0] else None
    try:
        array = np.loadtxt(lines, np.float32, comments=None, delimiter=separator, ndmin=2)
    except ValueError:
        raise _bad_row(path, lines, separator) from None
    if len(array) != len(lines):  # loadtxt passes over empty lines, which would shift the rest
        raise _bad_row(path, lines, separator)
    _check_columns(path, array)
    return array


def _check_columns(path: Path, array: NDArray[np.float32]) -> None:
    """Refuse what reads as numbers but is no embeddings."""
    rows, columns = array.shape
    if columns == 1:
        raise FormatError(
            f"{path}: one number a row is no embedding; each row should hold all numbers of one "
            "image, separated by commas"
        )
    if rows > 2 and np.array_equal(array[:, 0], np.arange(rows)):
        raise FormatError(
            f"{path}: its first column counts the rows, as pandas' index does; {_PANDAS}"
        )
    if rows > 2 and (place := _labels_place(array)):
        raise FormatError(
            f"{path}: its {place} column holds whole numbers only, as an index or people's "
            f"numbers are, the others do not; leave it out ({_PANDAS})"
        )
    if columns > 2 and np.array_equal(array[0], np.arange(columns)):
        raise FormatError(f"{path} line 1 counts the columns, as pandas' header does; {_PANDAS}")


def _labels_place(array: NDArray[np.float32]) -> str | None:
    """Which outer column counts or numbers rows of embeddings; those of a dead ReLU are zero."""
    for place, column in (("first", array[:, 0]), ("last", array[:, -1])):
        if column.any() and _whole(column) and not _whole(array):
            return place
    return None


def _whole(numbers: NDArray[np.float32]) -> bool:
    return np.array_equal(numbers, np.rint(numbers), equal_nan=True)  # NaN is said of its row


def _bad_row(path: Path, lines: list[str], separator: str | None) -> FormatError:
    """Which line is not a row of numbers as long as the first."""
    columns = len(lines[0].split(separator))
    for number, line in enumerate(lines, start=1):
        cells = line.split(separator)
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                hint = ""
                if number == 1:  # pandas leaves the index' own name empty
                    hint = "; columns' names have to go" if cell else f"; {_PANDAS}"
                return FormatError(f"{path} line {number}: {cell[:40]!r} is not a number{hint}")
        if len(cells) != columns:
            return FormatError(
                f"{path} line {number}: {counted(len(cells), 'number')} where line 1 has {columns}"
            )
    return FormatError(f"{path}: not rows of numbers separated by commas")


def _read_labels(path: Path) -> tuple[NDArray[np.int64], list[str]]:
    # Names of files need not be UTF-8; surrogateescape keeps them as Python's own paths do.
    lines = read_text(path, errors="surrogateescape").split("\n")
    if not lines[-1]:
        lines.pop()
    labels = np.empty(len(lines), np.int64)
    names: list[str] = []
    for row, line in enumerate(lines):
        mark = "," if line.partition(",")[0].strip().lstrip("-").isdecimal() else ";"
        label, comma, name = line.partition(mark)
        try:
            labels[row] = int(label)
        except (ValueError, OverflowError):
            comma = ""
        if not comma or not name:
            if names and names[-1].startswith('"'):
                raise FormatError(
                    f"{path} line {row}: the image's name goes on in the next line; rename the "
                    "image and run facetool represent again"
                )
            raise FormatError(
                f"{path} line {row + 1}: expected <label number>,<image path>, found {line[:60]!r}"
            )
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = name[1:-1].replace('""', '"')
        names.append(name)
    return labels, names
