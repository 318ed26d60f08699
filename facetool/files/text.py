"""Text files as other programs leave them, and names as other systems spell them."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facetool.errors import FormatError

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
        return decode_text(path.read_bytes(), errors)


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
