"""``align.csv``: a row for every face, and for every photo without one, of an aligned folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from facetool.errors import FormatError
from facetool.files.atomic import atomic_write
from facetool.files.text import csv_rows

ALIGN_CSV = "align.csv"

MADE_CROP = ("aligned", "center", "fallback")
"""The statuses of rows that have an output."""


CHOICES = {"largest": "the largest of", "center": "the largest and most central of"}
"""How the reason of a row begins where a photo has several faces, by the rule that chose."""


class AlignRow(NamedTuple):
    """One face, or one image without a face. The texts are as they stand in the file.

    Attributes:
        input: path of the photo, relative to INPUT.
        status: ``aligned``, ``center``, ``fallback``, ``no-face`` or ``failed``.
        reason: why there is no crop, or why it is not the usual one.
        left: of the face's box, pixels of the upright photo; so ``top``, ``right``, ``bottom``.
        top: see ``left``.
        right: see ``left``.
        bottom: see ``left``.
        score: the detector's.
        landmarks: ``x1 y1 x2 y2 …`` in pixels of the upright photo.
        output: path of the crop, relative to OUTPUT.
        turn: degrees clockwise by which the photo was turned to find the face.
        size: shorter edge of the box in pixels.
        sharpness: variance of the Laplacian of the crop; so the next columns, as
            ``facetool.cropping.quality`` says.
        exposure: mean brightness of the crop, 0…1.
        yaw: degrees that the head is turned to the right of the photo.
        pitch: degrees up.
        roll: degrees clockwise.
        time: of the frame that the crop was cut from, in seconds from the beginning of the video;
            empty for photos, and so the next two.
        first: of the first frame that shows the face.
        last: of the last one.
    """

    input: str
    status: str
    reason: str = ""
    left: str = ""
    top: str = ""
    right: str = ""
    bottom: str = ""
    score: str = ""
    landmarks: str = ""
    output: str = ""
    turn: str = ""
    size: str = ""
    sharpness: str = ""
    exposure: str = ""
    yaw: str = ""
    pitch: str = ""
    roll: str = ""
    time: str = ""
    first: str = ""
    last: str = ""

    @property
    def edges(self) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom of the box as numbers; None without a face."""
        edges = self.left, self.top, self.right, self.bottom
        if not all(edges):
            return None
        left, top, right, bottom = map(float, edges)
        return left, top, right, bottom


ALIGN_COLUMNS = AlignRow._fields[:-3]
"""Of folders without videos; where there are any, all fields are."""

_QUALITY_DIGITS = {"size": 0, "sharpness": 1, "exposure": 3, "yaw": 1, "pitch": 1, "roll": 1}

QUALITY_COLUMNS = tuple(_QUALITY_DIGITS)
"""The columns of numbers that say how good a face is."""

_COLUMN_COUNTS = (10, 11, len(ALIGN_COLUMNS), len(AlignRow._fields))
"""Version 0.1 turned no photos, and its successors at first measured no quality."""


_HEADERS = tuple(AlignRow(*AlignRow._fields[:count]) for count in _COLUMN_COUNTS)


def format_quality(values: Sequence[float | None]) -> list[str]:
    """The cells of :data:`QUALITY_COLUMNS`; empty where a value is None."""
    digits = _QUALITY_DIGITS.values()
    return [
        "" if value is None else f"{value:.{places}f}"
        for value, places in zip(values, digits, strict=True)
    ]


def format_row(row: AlignRow, columns: int = len(AlignRow._fields)) -> str:
    """The first columns as a CSV line."""
    text = io.StringIO()
    # Before Python 3.13 only what is in the terminator is quoted, so a name's \r needs it there.
    csv.writer(text, lineterminator="\r\n").writerow(row[:columns])
    return text.getvalue().removesuffix("\r\n") + "\n"


def format_number(value: float) -> str:
    """Pixels as they stand in the file."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def parse_rows(lines: Iterable[str]) -> Iterator[AlignRow]:
    """The rows of CSV lines that keep their ends.

    Raises:
        FormatError: one is no CSV, or has too few or too many columns; the line is named, from 1.
    """
    for number, cells in csv_rows(lines):
        try:
            yield row_of(cells)
        except FormatError as error:
            raise FormatError(f"line {number}: {error}") from None


def row_of(cells: Sequence[str]) -> AlignRow:
    """The row of one line's cells.

    Raises:
        FormatError: there are too few or too many.
    """
    if len(cells) not in _COLUMN_COUNTS:
        raise FormatError(f"{len(ALIGN_COLUMNS)} columns expected")
    return AlignRow(*cells)


def write_manifest(folder: Path, rows: Iterable[AlignRow], *, times: bool = False) -> None:
    """Write ``align.csv``, whole or not at all; ``times``: rows of videos are among them."""
    columns = AlignRow._fields if times else ALIGN_COLUMNS
    with atomic_write(
        folder / ALIGN_CSV, "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        file.write(",".join(columns) + "\n")
        file.writelines(format_row(row, len(columns)) for row in rows)


def read_manifest(path: Path) -> Iterator[AlignRow]:
    """The rows of an ``align.csv``.

    Raises:
        FormatError: the file is not such a manifest; the line is named.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = parse_rows(file)
        try:
            if next(rows, None) not in _HEADERS:
                raise FormatError("line 1: not the columns of an align.csv")
            yield from rows
        except FormatError as error:
            raise FormatError(f"{path}, {error}") from None


def missed_faces(folder: Path) -> Sequence[str]:
    """Crops (relative to the folder) that were not cut around a found face, by ``align.csv``."""
    manifest = folder / ALIGN_CSV
    if not manifest.is_file():
        return []
    missed = ("center", "fallback")
    return sorted(row.output for row in read_manifest(manifest) if row.status in missed)


def largest_of_several(folder: Path) -> Sequence[str]:
    """Crops (relative to the folder) of photos with other faces, taken because they are larger."""
    manifest = folder / ALIGN_CSV
    if not manifest.is_file():
        return []
    start = f"{CHOICES['largest']} "
    return sorted(row.output for row in read_manifest(manifest) if row.reason.startswith(start))
