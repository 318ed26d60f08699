"""One writer per output folder."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facetool.errors import OutputError, UsageError
from facetool.jobs.progress import listener

_LOCK = ".facetool.lock"

_WAIT = 0.1
"""Seconds between two looks at a file that somebody else holds."""

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
"""What ``flock`` says of a file that somebody else holds; other numbers mean that it cannot."""


def try_to_lock(descriptor: int) -> bool | None:
    """Hold an open file for as long as it is open.

    Returns:
        Whether it is held now: False where somebody else holds it, None where files cannot be
        held: on Windows, and on mounts without ``flock``.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _TAKEN else None
    return True


def is_same_file(descriptor: int, path: Path) -> bool:
    """Whether a name still leads to an open file, which another process may have renamed."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_locked(folder: Path) -> bool:
    """Whether a writer is at work in ``folder``, or was killed there."""
    return (folder / _LOCK).exists()


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Make ``folder`` and hold it for this process; the hold ends with the process, even killed.

    Where files cannot be locked nothing is held, and a remark says so.

    Raises:
        UsageError: another process writes there.
        OutputError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / _LOCK
        descriptor, locked = _hold(path)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        if locked is False:
            raise UsageError(
                f"another facetool is writing to {folder}; wait for it or choose another folder"
            )
        if locked is None:
            listener().remark(
                str(folder),
                "files cannot be locked there; see to it that no other facetool writes to it "
                "meanwhile",
            )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Make the folder of ``path`` and hold that file; who comes later waits, and says so.

    For files that grow over several runs, and for several files that belong together. Where files
    cannot be locked nothing is held.

    Raises:
        OutputError: the folder cannot be made.
    """
    lock = _lock_of(path)
    waited = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, locked = _hold(lock)
        while locked is False:
            os.close(descriptor)
            if not waited:
                listener().remark(str(path), "waiting for another facetool that is writing it")
                waited = True
            time.sleep(_WAIT)
            descriptor, locked = _hold(lock)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def drop_lock(path: Path) -> None:
    """Remove the lock that a killed holder of a finished file left, where that can be done."""
    if _lock_of(path).exists():
        with suppress(OutputError), in_turn(path):
            pass


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _hold(path: Path) -> tuple[int, bool | None]:
    """Open a lock file and try to hold it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        locked = try_to_lock(descriptor)
        if not locked or is_same_file(descriptor, path):
            return descriptor, locked
        os.close(descriptor)  # its last holder has removed it meanwhile: it protects nothing
