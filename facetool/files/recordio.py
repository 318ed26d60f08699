"""RecordIO, the container of MXNet's data sets: records one after another in a ``.rec`` file.

A record is one or more parts ``{u32 magic, u32 kind << 29 | length, bytes, zeros up to a multiple
of 4}``, little endian. Kind 0 is a whole record; 1, 2, 3 are the first, middle and last part of
one that was split wherever the magic itself stood at a 4-byte boundary of it, those four bytes
being dropped. An index beside it (``.idx``) has a line ``key<TAB>byte offset`` per record, in
any order.
"""

from __future__ import annotations

import os
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError, one_line
from facetool.files.input_file import check_regular
from facetool.files.text import counted

MAGIC = struct.pack("<I", 0xCED7230A)

_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_LENGTH_BITS = 29
_LONGEST = (1 << _LENGTH_BITS) - 1
_MOST_PARTS = 1 << 16
_SEARCH_STEP = 1 << 20


class RecordFile:
    """Random access to the records of a ``.rec`` file, by byte offset.

    Safe in threads (``pread``), and picklable: a worker process opens the file for itself.

    Args:
        path: the file.

    Raises:
        FormatError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self.size = os.fstat(self._open()).st_size

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "size": self.size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _descriptor=None)

    def __del__(self) -> None:
        descriptor = getattr(self, "_descriptor", None)
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        with self._lock:
            if self._descriptor is None:
                try:
                    check_regular(self.path)
                    self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                except OSError as error:
                    raise FormatError(f"cannot read {self.path}: {error.strerror}") from error
            return self._descriptor

    def _bytes(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes; nothing is allocated for bytes that are not there."""
        if not 0 <= offset <= self.size - count:
            raise self._fail(offset, f"{counted(count, 'byte')} announced, the file ends before")
        try:
            data = os.pread(self._open(), count, offset)
        except OSError as error:
            raise self._fail(offset, f"cannot be read: {error.strerror}") from error
        if len(data) != count:
            raise self._fail(offset, "the file has become shorter")
        return data

    def _fail(self, offset: int, reason: str) -> FormatError:
        return FormatError(f"{self.path.name}: {reason} (at byte {offset:,})")

    def _parts(self, offset: int) -> Iterator[tuple[int, int]]:
        """Byte range of each part of the record at ``offset``."""
        total, start = 0, offset
        for number in range(_MOST_PARTS):
            head = self._bytes(offset, 8)
            if not head.startswith(MAGIC):
                raise self._fail(offset, "no record starts here")
            kind, length = divmod(int.from_bytes(head[4:], "little"), 1 << _LENGTH_BITS)
            if kind not in ((_MIDDLE, _LAST) if number else (_WHOLE, _FIRST)):
                raise self._fail(offset, "a part of a record is missing")
            total += length
            if length > self.size - offset - 8 or total > _LONGEST:
                what = counted(length, "byte")
                raise self._fail(offset, f"{what} announced, the file ends before")
            yield offset + 8, length
            if kind in (_WHOLE, _LAST):
                return
            offset = _next_part(offset, length)
        raise self._fail(start, f"a record of more than {_MOST_PARTS:,} parts")

    def read(self, offset: int, count: int = _LONGEST) -> bytes:
        """The record at a byte offset, or no more than its first ``count`` bytes.

        Raises:
            FormatError: there is none, or it is damaged.
        """
        found = bytearray()
        for number, (start, length) in enumerate(self._parts(offset)):
            if number:
                found += MAGIC
            found += self._bytes(start, min(length, max(count - len(found), 0)))
            if len(found) >= count:
                break
        return bytes(found[:count])

    def scan(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Find all records without an index.

        Returns:
            Byte offsets of the records, and byte ranges that hold none and were passed over.
        """
        offsets: list[int] = []
        damaged: list[tuple[int, int]] = []
        position = 0
        while position < self.size:
            try:
                *_, (start, length) = self._parts(position)
            except FormatError:
                following = self._next_record(position + 4)
                damaged.append((position, following))
                position = following
            else:
                offsets.append(position)
                position = _next_part(start - 8, length)
        return offsets, damaged

    def _next_record(self, position: int) -> int:
        """The next place that looks like the start of a record, or the end of the file."""
        while position < self.size:
            chunk = self._bytes(position, min(_SEARCH_STEP, self.size - position))
            found = chunk.find(MAGIC)
            while found >= 0:
                kind = chunk[found + 7] >> 5 if found + 8 <= len(chunk) else _WHOLE
                if (position + found) % 4 == 0 and kind in (_WHOLE, _FIRST):
                    return position + found
                found = chunk.find(MAGIC, found + 1)
            # The magic may lie across the end of this chunk.
            position += max(len(chunk) - 3, 1) if position + len(chunk) < self.size else len(chunk)
        return self.size


def _next_part(offset: int, length: int) -> int:
    return offset + 8 + (length + 3) // 4 * 4


def index_path(path: Path) -> Path:
    """Where the index of a ``.rec`` file lies."""
    return path.with_suffix(".idx")


def read_index(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read an ``.idx`` file.

    Returns:
        Keys in rising order and their byte offsets, int64 (N,) each.

    Raises:
        FormatError: it cannot be read or is no such index.
    """
    try:
        with warnings.catch_warnings(), path.open(encoding="utf-8-sig") as file:
            warnings.simplefilter("ignore")  # an empty file is told below
            # Up to NumPy 2.2 a number that is none, or too large, is read as a float and cut.
            warnings.simplefilter("error", DeprecationWarning)
            table = np.loadtxt(file, np.int64, comments=None, ndmin=2)
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, OverflowError, DeprecationWarning) as error:
        raise _bad_index(path, one_line(error)) from error
    if table.size == 0 or table.shape[1] != 2:
        raise _bad_index(path, "not two columns of numbers")
    table = table[np.argsort(table[:, 0], kind="stable")]
    if (np.diff(table[:, 0]) == 0).any():
        raise _bad_index(path, "a key stands in it twice")
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])


def _bad_index(path: Path, reason: str) -> FormatError:
    return FormatError(
        f"{path} is not a record index: {reason}; without that file the records are found by a scan"
    )


class RecordWriter:
    """Writes records and their index to open files.

    Args:
        records: receives the records, opened ``wb``.
        index: receives the index, opened ``w``.
    """

    def __init__(self, records: IO[bytes], index: IO[str]) -> None:
        self._records = records
        self._index = index
        self._offset = 0

    def write(self, key: int, record: bytes) -> None:
        """Append a record.

        Raises:
            FormatError: a part of it would be longer than the format can say (512 MiB).
        """
        cuts = [place for place in _occurrences(record) if place % 4 == 0]
        starts, ends = [0, *[cut + 4 for cut in cuts]], [*cuts, len(record)]
        self._index.write(f"{key}\t{self._offset}\n")
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            last = number == len(cuts)
            kind = (_LAST if last else _MIDDLE) if number else (_WHOLE if last else _FIRST)
            length = end - start
            if length > _LONGEST:
                raise FormatError(f"record {key} has {counted(length, 'byte')}, more than fit")
            part = MAGIC + struct.pack("<I", kind << _LENGTH_BITS | length) + record[start:end]
            part += bytes(-length % 4)
            self._records.write(part)
            self._offset += len(part)


def _occurrences(record: bytes) -> Iterator[int]:
    """Where the magic stands in a record at a 4-byte boundary, without overlaps."""
    place = record.find(MAGIC)
    while place >= 0:
        yield place
        place = record.find(MAGIC, place + 1)
