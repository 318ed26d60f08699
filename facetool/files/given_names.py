"""``names.csv``: the names that a user gives to groups of faces, and what came of them.

Its columns are ``name`` and ``image``, in any order; a spreadsheet may have written it, with
semicolons or in UTF-16. A row with a name says whom an image shows. Rows without one are proposals.
The file is rewritten, so it may hold nothing else but the groups' numbers of ``groups.csv``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from facetool.errors import FormatError
from facetool.files.atomic import atomic_write
from facetool.files.text import csv_rows, read_text

_COLUMNS = ("name", "image")
_MAY_GO = ("group", "")
"""Columns that need not be kept; a spreadsheet leaves the last ones without a name."""


def read_given_names(path: Path) -> dict[str, str]:
    """The name of each image that has one.

    Raises:
        FormatError: the file is no such table, gives an image two names, or has something that
            would be lost when it is rewritten.
    """
    text = read_text(path, errors="surrogateescape")
    first = text.partition("\n")[0]
    separator = ";" if ";" in first and "," not in first else ","
    try:
        rows = list(csv_rows(io.StringIO(text, newline="\n"), separator)) or [(1, [])]
    except FormatError as error:
        raise FormatError(f"{path} {error}") from error
    header = [column.strip().lower() for column in rows[0][1]]
    _check_columns(path, header)
    name_at, image_at = (header.index(column) for column in _COLUMNS)
    names: dict[str, str] = {}
    for number, row in rows[1:]:
        name, image = (row[at] if at < len(row) else "" for at in (name_at, image_at))
        name = name.strip()
        if any(cell.strip() for at, cell in enumerate(row) if header[at : at + 1] in ([], [""])):
            raise FormatError(
                f"{path} line {number}: more than the columns of line 1; a name with a comma "
                "needs quotes around it"
            )
        if not name:
            continue
        if not image:
            raise FormatError(
                f"{path} line {number}: {name} has no image; fill it in or remove the row"
            )
        if names.setdefault(image, name) != name:
            raise FormatError(
                f"{path} line {number}: {image} is named {name} here and {names[image]} "
                "above; remove one of the two rows"
            )
    return names


def _check_columns(path: Path, header: list[str]) -> None:
    if not set(header) >= set(_COLUMNS):
        raise FormatError(f"{path} line 1: expected the columns {','.join(_COLUMNS)}")
    others = set(header).difference(_COLUMNS, _MAY_GO)
    others.update(column for column in _COLUMNS if header.count(column) > 1)
    if others:
        raise FormatError(
            f"{path} line 1: the column {min(others)!r} would be lost when names are added; keep "
            "it in another file and leave name,image here"
        )


def write_given_names(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write (name, image) rows, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
