"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

from facetool.errors import OutputError
from facetool.files.durable import sync_file, sync_folder
from facetool.files.lock import is_same_file, try_to_lock


def part_path(path: Path) -> Path:
    """The name beside ``path`` under which it grows.

    It is the same in every run, so a run that repeats a killed one overwrites and renames
    what that one left instead of adding to the litter.
    """
    return path.with_name(f".{path.name}.part")


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` while writing ``path`` into a one-line :class:`OutputError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path}: {reason}") from error


@contextmanager
def atomic_write(
    path: Path, mode: str = "wb", *, durable: bool = True, **open_options: Any
) -> Iterator[IO[Any]]:
    """Open a file for writing that takes its name only when the block ends without error.

    Parents are made. On an error the unfinished file is removed and ``path`` stays as it was.
    Of several that write one file at the same time, each has a file of its own to grow, and the
    last to end wins. What is there and no file, such as ``/dev/stdout``, is written to as it is.

    Args:
        path: of the file.
        mode: of :func:`open`.
        durable: have it on the disk before it takes its name, so that a power cut leaves it whole
            or absent, too. Of many small files that takes longer than writing them: whoever
            writes those calls :func:`facetool.files.durable.sync_file_system` once at the end.
        open_options: of :func:`open`.

    Raises:
        OutputError: the file cannot be written (disk full, no permission, …).
    """
    with output_errors(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open(mode, **open_options) as file:
                yield file
            return
        part, held = _open_part(path)
        try:
            # The file is closed before it is renamed, since a network's disk may only then say
            # that it is full; the lock stays until after that. Libraries may have put another
            # file under its name, so it is that name's content which goes to the disk.
            # By this opener the file has its path for a name, as libraries that write it want.
            with open(part, mode, opener=lambda *_: os.dup(held), **open_options) as file:
                yield file
            if durable:
                sync_file(part)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(held)
        if durable:
            sync_folder(path.parent)


def _open_part(path: Path) -> tuple[Path, int]:
    """An empty file beside ``path`` that is this writer's alone, and its descriptor.

    A killed run's leftover is held by nobody, so the next run takes it over. Where files cannot
    be locked, the name says whose it is.
    """
    first = part_path(path)
    for number in count(1):
        part = first if number == 1 else path.with_name(f".{path.name}.{number}.part")
        held = _open_with_parents(part)
        try:
            locked = try_to_lock(held)
            if locked and is_same_file(held, part):
                os.ftruncate(held, 0)
                return part, held
        except BaseException:
            os.close(held)
            raise
        os.close(held)
        if locked is None:
            part.unlink(missing_ok=True)
            part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
            return part, _open_with_parents(part)
    raise AssertionError


def _open_with_parents(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0)
    remove_link(path)
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


def remove_link(part: Path) -> None:
    """Remove a link in the place of an unfinished file: its target is not to be written over."""
    if part.is_symlink():
        part.unlink()
