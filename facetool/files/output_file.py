"""What a user names as a file to write: a new one, or an earlier one of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from facetool.errors import UsageError
from facetool.files.atomic import output_errors

IsOne = Callable[[BinaryIO], bool]
"""Whether an open file is of the kind that is to be written."""


def check_output(path: Path, kind: str, is_one: IsOne, *, inputs: Iterable[Path] = ()) -> None:
    """Refuse, before anything takes its time, to write over an input or a file of another kind.

    Args:
        path: the file to write; a pipe or a device is nobody's file.
        kind: what is written, for messages.
        is_one: of a file that is there and is not empty.
        inputs: files that the command reads, whether they are there or not.

    Raises:
        UsageError: so it is.
        OutputError: the file that is there cannot be read.
    """
    if any(same_place(path, one) for one in inputs):
        raise UsageError(f"{path} is an input of this command; choose another name")
    if not path.is_file() or not path.stat().st_size:
        return
    with output_errors(path), path.open("rb") as file:
        found = is_one(file)
    if not found:
        raise UsageError(f"{path} is there and is no {kind}; choose another name")


def check_folder(output: Path, *inputs: Path) -> None:
    """Refuse a folder for results that is an input itself.

    Raises:
        UsageError: so it is.
    """
    if any(same_place(output, one) for one in inputs):
        raise UsageError(f"{output} is an input of this command; choose another folder to write to")


def starts_with(*starts: bytes) -> IsOne:
    """Whether a file begins with one of these."""
    return lambda file: file.read(max(map(len, starts))).startswith(starts)


def same_place(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, by links or by hard links, there or not yet."""
    if one.resolve() == other.resolve():
        return True
    return one.exists() and other.exists() and one.samefile(other)
