"""Text files as other programs leave them, and names as other systems spell them."""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from facetool.errors import FormatError
from facetool.files.input_file import open_input

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an error that names it.

    Raises:
        FormatError: the file cannot be read, or is no text.
    """
    try:
        yield
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not a text file in UTF-8") from error


def read_text(path: Path, errors: str = "strict") -> str:
    """A text file in UTF-8, or in UTF-16 as PowerShell writes it; see :func:`decode_text`.

    Raises:
        FormatError: it cannot be read, or is no such text.
    """
    with reading(path):
        return decode_text(read_bytes(path), errors)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, or of a pipe that somebody writes to.

    Raises:
        FormatError: it cannot be read.
    """
    with reading(path), open_input(path) as file:
        return file.read()


def csv_rows(lines: Iterable[str], delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows of CSV lines that keep their ends, each with the number of its last line, from 1.

    Raises:
        FormatError: a line is no CSV (a cell of more than 128 KB; before Python 3.11, a NUL); it
            is named, the file is not.
    """
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise FormatError(f"line {reader.line_num}: {error}") from error


def decode_text(data: bytes, errors: str = "strict") -> str:
    """The text without its byte order mark, its lines ending in ``\\n`` alone.

    Args:
        data: the file's bytes.
        errors: ``surrogateescape`` where names of files may be no UTF-8.

    Raises:
        UnicodeDecodeError: they are no text.
    """
    encoding = "utf-16" if data.startswith(_UTF_16) else "utf-8-sig"
    return data.decode(encoding, errors).replace("\r\n", "\n")


def same_spelling(name: str) -> str:
    """One spelling for names that look alike: macOS writes é as e and an accent, others as é."""
    return unicodedata.normalize("NFC", name)


def as_utf8(name: str) -> str:
    """A file's name, in which bytes may be no UTF-8, as one that all programs can read.

    Such a byte is written as U+FFFD and its two hexadecimal digits, U+FFFD itself twice.
    """
    return "".join(
        f"\ufffd{ord(letter) - 0xDC00:02x}"
        if "\udc80" <= letter <= "\udcff"
        else letter * (1 + (letter == "\ufffd"))
        for letter in name
    )


def from_utf8(name: str) -> str:
    """The inverse of :func:`as_utf8`."""
    return _ESCAPED_BYTE.sub(
        lambda found: chr(0xDC00 + int(found[1], 16)) if found[1] != "\ufffd" else "\ufffd", name
    )


_ESCAPED_BYTE = re.compile("\ufffd(\ufffd|[89a-f][0-9a-f])")


def counted(number: int, noun: str, several: str = "") -> str:
    """``1 photo``, ``2,000 photos``; ``several`` is the plural where that is not the noun and s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def printable(text: str) -> str:
    """A name for a line of output: what would end the line or move the cursor is escaped.

    So are bytes of a file's name that are no UTF-8: ``\\xff``.
    """
    return "".join(
        _escaped(letter)
        if unicodedata.category(letter) in _NOT_SHOWN or letter in _TURNING
        else letter
        for letter in text
    )


_NOT_SHOWN = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, lone surrogates and separators of lines."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Letters that turn the direction of those after them, so that a name looks like another."""


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte, as Python's paths have it
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")
