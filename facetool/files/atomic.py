"""Writing files so that a reader never sees half of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from facetool.errors import OutputError


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


def _open_with_parents(path: Path, mode: str, **open_options: Any) -> IO[Any]:
    try:
        return path.open(mode, **open_options)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open(mode, **open_options)


@contextmanager
def atomic_write(path: Path, mode: str = "wb", **open_options: Any) -> Iterator[IO[Any]]:
    """Open a file for writing that takes its name only when the block ends without error.

    Parents are made. On an error the unfinished file is removed and ``path`` stays as it was.

    Raises:
        OutputError: the file cannot be written (disk full, no permission, …).
    """
    part = part_path(path)
    with output_errors(path):
        try:
            with _open_with_parents(part, mode, **open_options) as file:
                yield file
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
