"""``align.csv`` and ``align.json``: what an aligned folder says of itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from facetool.errors import FormatError
from facetool.files.atomic import atomic_write

ALIGN_CSV = "align.csv"
ALIGN_JSON = "align.json"

MADE_CROP = ("aligned", "center", "fallback")
"""The statuses of rows that have an output."""


@dataclass(frozen=True)
class AlignRow:
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


COLUMNS = tuple(column.name for column in fields(AlignRow))


def format_rows(rows: Iterable[AlignRow]) -> str:
    """CSV lines without a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(astuple(row) for row in rows)
    return text.getvalue()


def write_manifest(folder: Path, rows: Iterable[AlignRow]) -> None:
    """Write ``align.csv``, whole or not at all."""
    with atomic_write(
        folder / ALIGN_CSV, "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        file.write(",".join(COLUMNS) + "\n")
        file.write(format_rows(rows))


def read_manifest(path: Path, header: bool = True) -> list[AlignRow]:
    """The rows of an ``align.csv``, or of the journal of an unfinished run (no header).

    A journal may end in the middle of a line; that line counts as not written.

    Raises:
        FormatError: the file is not such a manifest; the line is named.
    """
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    if not header:
        text = text[: text.rfind("\n") + 1]
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if header:
        if not lines or tuple(lines[0]) != COLUMNS:
            raise FormatError(f"{path}, line 1: not the columns of an align.csv")
        lines = lines[1:]
    for number, line in enumerate(lines, start=2 if header else 1):
        if len(line) != len(COLUMNS):
            raise FormatError(f"{path}, row {number}: {len(COLUMNS)} columns expected")
    return [AlignRow(*line) for line in lines]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        FormatError: the file holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path} is not a JSON object")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def missed_faces(folder: Path) -> Sequence[str]:
    """Crops (relative to the folder) that were not cut around a found face, by ``align.csv``."""
    manifest = folder / ALIGN_CSV
    if not manifest.is_file():
        return []
    rows = read_manifest(manifest)
    return sorted(row.output for row in rows if row.status in ("center", "fallback"))
