"""``names.csv``: the names that a user gives to groups of faces, and what came of them.

Its columns are ``name`` and ``image``, in any order; a spreadsheet may have written it, with
semicolons or in UTF-16. A row with a name says whom an image shows. Rows without one are proposals.
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


def read_given_names(path: Path) -> dict[str, str]:
    """The name of each image that has one.

    Raises:
        FormatError: the file is no such table, or gives an image two names.
    """
    text = read_text(path, errors="surrogateescape")
    first = text.partition("\n")[0]
    separator = ";" if ";" in first and "," not in first else ","
    try:
        rows = list(csv_rows(io.StringIO(text, newline="\n"), separator)) or [(1, [])]
    except FormatError as error:
        raise FormatError(f"{path} {error}") from error
    header = [column.strip().lower() for column in rows[0][1]]
    if not set(header) >= set(_COLUMNS):
        raise FormatError(f"{path} line 1: expected the columns {','.join(_COLUMNS)}")
    name_at, image_at = (header.index(column) for column in _COLUMNS)
    names: dict[str, str] = {}
    for number, row in rows[1:]:
        if len(row) <= max(name_at, image_at) or not row[name_at].strip():
            continue
        name, image = row[name_at].strip(), row[image_at]
        if names.setdefault(image, name) != name:
            raise FormatError(
                f"{path} line {number}: {image} is named {name} here and {names[image]} "
                "above; remove one of the two rows"
            )
    return names


def write_given_names(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write (name, image) rows, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
