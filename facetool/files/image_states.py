"""``inputs.csv``: what each image was when a stage read it; the next run sees what changed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from facetool.errors import FormatError
from facetool.files.atomic import atomic_write

INPUTS_CSV = "inputs.csv"
_COLUMNS = ("input", "size", "modified", "sha256")
STATES_HEADER = ",".join(_COLUMNS) + "\n"


class ImageState(NamedTuple):
    """A file, or a record of a file, as it was read.

    Attributes:
        size: bytes.
        modified: nanoseconds since the epoch.
        sha256: of its content, 64 hexadecimal digits; empty where it could not be read.
    """

    size: int
    modified: int
    sha256: str = ""


def format_state(name: str, state: ImageState) -> str:
    """A CSV line."""
    text = io.StringIO()
    # Before Python 3.13 only what is in the terminator is quoted, so a name's \r needs it there.
    csv.writer(text, lineterminator="\r\n").writerow((name, *state))
    return text.getvalue().removesuffix("\r\n") + "\n"


def write_states(folder: Path, states: Iterable[tuple[str, ImageState]]) -> None:
    """Write ``inputs.csv``, whole or not at all."""
    with atomic_write(
        folder / INPUTS_CSV, "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        file.write(STATES_HEADER)
        file.writelines(format_state(name, state) for name, state in states)


def read_states(folder: Path) -> dict[str, ImageState]:
    """What ``inputs.csv`` says; empty where it is not there, as in folders written by 0.1.

    Raises:
        FormatError: the file is damaged; the line is named.
    """
    path = folder / INPUTS_CSV
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        try:
            if tuple(next(reader, ())) != _COLUMNS:
                raise ValueError("not the columns of an inputs.csv")
            return dict(_parse(reader))
        except (ValueError, csv.Error) as error:
            raise FormatError(
                f"{path}, line {reader.line_num}: {error}; remove the file, and the next run "
                "looks at every image again"
            ) from None


def _parse(lines: Iterable[list[str]]) -> Iterator[tuple[str, ImageState]]:
    for line in lines:
        name, size, modified, sha256 = line
        yield name, ImageState(int(size), int(modified), sha256)
