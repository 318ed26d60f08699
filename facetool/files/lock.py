"""One writer per output folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facetool.errors import UsageError
from facetool.files.atomic import output_errors


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Make ``folder`` and hold it for this process; the hold ends with the process, even killed.

    On systems without ``flock`` nothing is held.

    Raises:
        UsageError: another process writes there.
        OutputError: the folder cannot be made.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    path = folder / ".facetool.lock"
    with output_errors(path):
        file = path.open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another facetool is writing to {folder}; wait for it or choose another folder"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
