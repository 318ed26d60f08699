"""InsightFace's training sets: images in a RecordIO file (``.rec``), grouped by identity."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError, ImageError
from facetool.files.recordio import RecordFile, index_path, read_index
from facetool.files.text import counted, read_text
from facetool.images.read import RGBImage, decode_image

RECORD_SUFFIX = ".rec"
NO_LABEL = -1
"""The label of a record whose own cannot be read."""

HEADER_SIZE = 24
_HEADER = struct.Struct("<IfQQ")
_MOST_LABELS = 1 << 16
_MISSING = -2
"""In place of a label: the record is not there, or not whole."""
_LARGEST = 1 << 62
"""Numbers from here on count nothing; they would not fit an int64 for long."""


class ImageRecord(NamedTuple):
    """One record taken apart.

    Attributes:
        labels: one number, or a vector whose first one is the identity.
        id: the record's key, as its writer noted it.
        image: bytes of the image file; empty for a record about records.
    """

    labels: tuple[float, ...]
    id: int
    image: bytes

    @property
    def label(self) -> int:
        """The identity's number, or ``NO_LABEL``."""
        value = self.labels[0] if self.labels else math.nan
        return int(value) if 0 <= value < _LARGEST and value.is_integer() else NO_LABEL

    @property
    def range(self) -> tuple[int, int] | None:
        """What a record about records says: keys from, and up to but without."""
        if self.image or len(self.labels) != 2:
            return None
        first, end = self.labels
        if not (1 <= first <= end < _LARGEST and first.is_integer() and end.is_integer()):
            return None
        return int(first), int(end)


def parse_record(record: bytes, whole: bool = True) -> ImageRecord:
    """Take a record apart: ``{u32 flag, f32 label, u64 id, u64 id2}``, ``flag`` more labels, image.

    Args:
        record: its bytes.
        whole: False where ``record`` is only the beginning of one; labels that are not there
            are left out then.

    Raises:
        FormatError: it is too short for what it announces.
    """
    if len(record) < HEADER_SIZE:
        raise FormatError(f"a record of {counted(len(record), 'byte')} has no image header")
    flag, label, number, _ = _HEADER.unpack_from(record)
    if flag > _MOST_LABELS or (whole and flag * 4 > len(record) - HEADER_SIZE):
        raise FormatError(f"its header announces {flag:,} labels")
    there = min(flag, (len(record) - HEADER_SIZE) // 4)
    vector = struct.unpack_from(f"<{there}f", record, HEADER_SIZE)
    return ImageRecord(vector if flag else (label,), number, record[HEADER_SIZE + 4 * flag :])


def format_record(
    labels: tuple[float, ...], key: int, image: bytes = b"", *, vector: bool = True
) -> bytes:
    """The inverse of :func:`parse_record`, with a label vector, or else a single label."""
    if not vector:
        return _HEADER.pack(0, labels[0], key, 0) + image
    vector_bytes = struct.pack(f"<{len(labels)}f", *labels)
    return _HEADER.pack(len(labels), 0.0, key, 0) + vector_bytes + image


class Flaw(NamedTuple):
    """What is wrong with a part of a ``.rec`` file.

    Attributes:
        what: how many of what, and the first of them.
        reason: what is wrong with them, and what to do.
        number: how many.
        share: of all of their kind, 0…1.
    """

    what: str
    reason: str
    number: int
    share: float


class ImageRecords:
    """The images of a ``.rec`` file; its ``.idx`` is used where it lies beside.

    Where a header record (key 0) gives each identity's range of keys, no more than those ranges
    are read; otherwise the label of every record. Damage stays with the record it is in. Safe
    in threads, and picklable for worker processes.

    Args:
        path: the file.

    Attributes:
        path: the file.
        keys: int64 (N,), keys of the images, rising.
        labels: int64 (N,), identity of each image, ``NO_LABEL`` where it cannot be read.
        ranges: int64 (M, 2), the first key and the key past the last of each identity, where
            there is a header record; (0, 2) otherwise.
        unreadable: stretches of the file that hold no record, and the reason.

    Raises:
        FormatError: the file or its index cannot be read at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable: tuple[tuple[str, str], ...] = ()
        self.ranges = np.empty((0, 2), np.int64)
        self._damaged: list[tuple[int, int]] = []
        self._file = RecordFile(path)
        index = index_path(path)
        self.indexed = index.is_file()
        keys, offsets = read_index(index) if self.indexed else self._scan()
        self._keep(keys, offsets)
        self._others = len(keys) - len(self.keys)

    def __getstate__(self) -> dict[str, Any]:
        # A worker asks for images by name: the names would be a copy in each of them.
        return {name: value for name, value in self.__dict__.items() if name != "names"}

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """``<label>/<key>``, padded with zeros so that sorting keeps their order, sorted."""
        return tuple(sorted(map(self._name, self.labels.tolist(), self.keys.tolist())))

    def _name(self, label: int, key: int) -> str:
        width, key_width = self._widths
        return f"{label:0{width}}/{key:0{key_width}}" if label >= 0 else f"unknown/{key}"

    @cached_property
    def _widths(self) -> tuple[int, int]:
        """Digits of the largest label and of the largest key."""
        return len(str(max(self.labels.max(initial=0), 0))), len(str(self.keys.max(initial=0)))

    @property
    def unsupported(self) -> Mapping[str, tuple[str, ...]]:
        """Nothing: whatever a record holds is tried."""
        return {}

    @property
    def place(self) -> Path:
        """The file that the names are relative to."""
        return self.path

    def without_names(self) -> ImageRecords:
        """Itself; the names are made only when needed."""
        return self

    def read(self, name: str) -> RGBImage:
        """One image by name, RGB uint8 (H, W, 3).

        Raises:
            ImageError: there is none of that name, or it is damaged.
        """
        return decode_image(self.read_bytes(name))

    def read_bytes(self, name: str) -> bytes:
        """The image file in one record.

        Raises:
            ImageError: there is none of that name, or it is damaged.
        """
        key = name.rpartition("/")[2]
        if not key.isdecimal():
            raise ImageError(f"{self.path.name} has no record {key!r}")
        return self.record(int(key)).image

    def sha256(self, name: str) -> str:
        """The checksum of the image file in one record.

        Raises:
            ImageError: there is none of that name, or it is damaged.
        """
        return hashlib.sha256(self.read_bytes(name)).hexdigest()

    def stat(self, name: str) -> tuple[int, int]:
        """Size and modification time of the whole file: records have none of their own.

        Raises:
            ImageError: there is no image of that name.
        """
        key = name.rpartition("/")[2]
        row = int(np.searchsorted(self.keys, int(key))) if key.isdecimal() else len(self.keys)
        if row == len(self.keys) or name != self._name(self.labels[row], self.keys[row]):
            raise ImageError(f"{self.path.name} has no image {name}")
        state = self.path.stat()
        return state.st_size, state.st_mtime_ns

    def record(self, key: int) -> ImageRecord:
        """One record by key, undecoded.

        Raises:
            ImageError: there is no such record, or it is damaged.
        """
        row = int(np.searchsorted(self.keys, key))
        if row == len(self.keys) or self.keys[row] != key:
            raise ImageError(f"{self.path.name} has no image with the key {key}")
        try:
            found = parse_record(self._file.read(int(self._offsets[row])))
        except FormatError as error:
            raise ImageError(f"record {key}: {error}") from error
        if not found.image:
            raise ImageError(f"record {key} holds no image")
        return found

    def fingerprint(self) -> str:
        """A checksum that changes with the file, sha256 in hexadecimal digits."""
        state = self.path.stat()
        line = f"{self.path.name}\0{state.st_size}\0{state.st_mtime_ns}\n"
        return hashlib.sha256(line.encode("utf-8", "surrogateescape")).hexdigest()

    def flaws(self, thorough: bool = False) -> list[Flaw]:
        """What is missing, has no label, or contradicts the index and ``property`` beside.

        Args:
            thorough: look at the head of each record, also where the header record spares it.
        """
        missing = self._missing
        if thorough and len(self.ranges):
            heads = [self._head(offset) is None for offset in self._offsets.tolist()]
            missing = np.array(heads, bool)
        unlabelled = (self.labels == NO_LABEL) & ~missing
        index = index_path(self.path).name
        found = [
            self._flaw(
                missing,
                f"not in the file: it is cut, or {index} belongs to another; copy both again, or "
                f"remove {index} to use what is there",
            ),
            self._flaw(unlabelled, "their label is no whole number from 0"),
            *(
                Flaw(place, reason, 1, (end - start) / self._file.size)
                for (place, reason), (start, end) in zip(
                    self.unreadable, self._damaged, strict=True
                )
            ),
            *self._contradictions(),
        ]
        return [flaw for flaw in found if flaw.number]

    def _flaw(self, rows: NDArray[np.bool_], reason: str) -> Flaw:
        number, total = int(rows.sum()), len(rows)
        first = f", key {self.keys[rows.argmax()]} the first" if number else ""
        share = number / total if total else 0.0
        return Flaw(f"{number:,} of {counted(total, 'record')}{first}", reason, number, share)

    def _contradictions(self) -> Iterator[Flaw]:
        """Where ``property`` does not say what is there."""
        try:
            properties = read_properties(self.path)
        except FormatError as error:
            yield Flaw("property", str(error), 1, 0.0)
            return
        if properties is None:
            return
        identities = len(np.unique(self.labels[self.labels >= 0]))
        counts = [("identities", identities, properties.classes)]
        if properties.records is not None and properties.records != len(self) + self._others:
            counts.append(("records", len(self), properties.records))
        for what, there, said in counts:
            if there != said:
                number = abs(said - there)
                yield Flaw(
                    f"{there:,} {what} where property says {said:,}",
                    "the .rec is cut, or property is of another set and should be removed",
                    number,
                    number / max(said, there),
                )

    def _scan(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        found, damaged = self._file.scan()
        self._damaged = damaged
        self.unreadable = tuple(
            (f"bytes {start:,} to {end:,}", "no record can be found there")
            for start, end in damaged
        )
        offsets = np.array(found, np.int64)
        ids = [self._id(offset) for offset in found]
        # A writer notes the key in each record; where they do not tell records apart, count.
        unique = None not in ids and len(set(ids)) == len(ids)
        keys = np.array(ids if unique else range(len(ids)), np.int64)
        order = np.argsort(keys)
        return keys[order], offsets[order]

    def _id(self, offset: int) -> int | None:
        head = self._head(offset)
        return head.id if head is not None and head.id < _LARGEST else None

    def _head(self, offset: int) -> ImageRecord | None:
        """Labels of a record, and at most one byte of its image; None where it is damaged."""
        try:
            return parse_record(self._file.read(offset, HEADER_SIZE + 9), whole=False)
        except FormatError:
            return None

    def _keep(self, keys: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        """Tell images from records about records, and find the images' labels."""
        header = self._head(int(offsets[0])) if len(keys) and keys[0] == 0 else None
        bounds = header.range if header is not None else None
        if bounds is None:
            labels = [self._label(int(offset)) for offset in offsets]
            is_image = np.array([label is not None for label in labels], bool)
            self.keys, self._offsets = keys[is_image], offsets[is_image]
            self.labels = np.array([label for label in labels if label is not None], np.int64)
            self._missing = self.labels == _MISSING
            self.labels[self._missing] = NO_LABEL
            return
        first, end = np.searchsorted(keys, [1, bounds[0]])
        self.keys, self._offsets = keys[first:end], offsets[first:end]
        self.labels = np.full(len(self.keys), NO_LABEL, np.int64)
        last = np.searchsorted(keys, bounds[1])
        self.ranges = np.array(list(self._identities(offsets[end:last])), np.int64).reshape(-1, 2)
        for start, stop in np.searchsorted(self.keys, self.ranges).tolist():
            label = self._label(int(self._offsets[start])) if start < stop else None
            if label is not None and label >= 0:
                self.labels[start:stop] = label
        self._missing = self._offsets > self._file.size - HEADER_SIZE
        for row in np.flatnonzero((self.labels < 0) & ~self._missing).tolist():
            label = self._label(int(self._offsets[row]))
            self._missing[row] = label == _MISSING
            self.labels[row] = NO_LABEL if label in (None, _MISSING) else label
        self.labels[self._missing] = NO_LABEL

    def _identities(self, offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        for offset in offsets.tolist():
            head = self._head(offset)
            if head is not None and head.range is not None:
                yield head.range

    def _label(self, offset: int) -> int | None:
        """The label of an image, or ``_MISSING``; None for a record about records."""
        head = self._head(offset)
        if head is None:
            return _MISSING
        return head.label if head.image or head.range is None else None


class Properties(NamedTuple):
    """What the file ``property`` beside a ``.rec`` says.

    Attributes:
        classes: identities.
        height: of the images, in pixels.
        width: of the images, in pixels.
        records: number of records; InsightFace's newer builder adds it in a second line.
    """

    classes: int
    height: int
    width: int
    records: int | None = None


def read_properties(path: Path) -> Properties | None:
    """Read the ``property`` file beside a ``.rec``; None where there is none.

    Raises:
        FormatError: it is not three numbers separated by commas, and perhaps one below.
    """
    file = path.with_name("property")
    if not file.exists():
        return None
    text = read_text(file)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    cells = [cell.strip() for cell in lines[0].split(",")] if lines else []
    numbers = [*cells, *lines[1:]]
    if len(cells) != 3 or len(lines) > 2 or not all(cell.isdecimal() for cell in numbers):
        raise FormatError(
            f"{file}: expected <classes>,<height>,<width> and perhaps a number of records below, "
            f"found {text[:40]!r}"
        )
    return Properties(*(int(number) for number in numbers))
