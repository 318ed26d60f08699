"""Weights files out of the zip files in which some are published."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from zipfile import BadZipFile, ZipFile, ZipInfo

from facetool.errors import WeightsError
from facetool.files.atomic import atomic_write
from facetool.files.published_file import PublishedFile

LARGEST = 2 << 30
"""Bytes of a file whose size is not published; the largest known network has a third of it."""

_DAMAGE = (BadZipFile, EOFError, NotImplementedError, RuntimeError, lzma.LZMAError, zlib.error)
"""What ``zipfile`` raises for damaged, encrypted and strangely compressed members."""


def extract(
    archive: Path, published: PublishedFile, folder: Path, check: Callable[[Path], object]
) -> Path:
    """Write a published file, and those that it needs beside it, to where they belong.

    Of the zip file only their content is taken: where they go is said by ``published``.

    Args:
        archive: the zip file, whose checksum is known to be right.
        published: what to take out of it.
        folder: of all weights.
        check: raises where the file, not yet under its name, is another than the published one.

    Returns:
        Where the file lies; it takes its name after all that it needs.

    Raises:
        WeightsError: the zip file is damaged, has no such file or several, or too large a one, or
            ``check`` raised it.
        OutputError: a file cannot be written.
    """
    try:
        with ZipFile(archive) as opened:
            for file in (*published.beside, published.file):
                size = published.size if file == published.file else None
                member = _member(opened, file, size)
                with opened.open(member) as source, atomic_write(folder / file) as target:
                    copyfileobj(source, target)
                    target.flush()
                    if file == published.file:
                        check(Path(target.name))
    except WeightsError as error:
        raise WeightsError(f"{archive}: {error}") from None
    except _DAMAGE as error:
        raise WeightsError(f"{archive} cannot be unzipped: {error}") from error
    return folder / published.file


def _member(archive: ZipFile, file: str, size: int | None) -> ZipInfo:
    """The only member of that name, in whatever folder, if it is as large as it should be."""
    wanted = PurePosixPath(file).parts
    found = [
        entry
        for entry in archive.infolist()
        if PurePosixPath(entry.filename).parts[-len(wanted) :] == wanted and not entry.is_dir()
    ]
    if len(found) != 1:
        raise WeightsError(f"holds {len(found) or 'no'} files {file}")
    (member,) = found
    if member.file_size > LARGEST or size not in (None, member.file_size):
        raise WeightsError(f"{file} has {member.file_size:,} bytes in it, which cannot be")
    return member
