"""Having files on the disk and not only in the system's memory, for the day the power fails."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EROFS, errno.EBADF)
"""What mounts that know no such thing answer; what fails on the disk itself is an error."""


def sync_file(path: Path) -> None:
    """Return once the content of a file is on the disk, whoever wrote it.

    Raises:
        OSError: the disk is full or broken, which some mounts only say now.
    """
    _sync(os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0)))


def sync_folder(folder: Path) -> None:
    """Return once the names in a folder are on the disk. Windows offers no such thing.

    Raises:
        OSError: as in :func:`sync_file`.
    """
    if sys.platform != "win32":
        _sync(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


def sync_file_system(folder: Path) -> None:
    """Return once all files on the disk that holds ``folder`` are there: cheap for many of them.

    Raises:
        OSError: as in :func:`sync_file`.
    """
    if sys.platform == "win32":
        return
    if not sys.platform.startswith("linux"):
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) and ctypes.get_errno() not in _CANNOT:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def ends_with(path: Path, end: bytes) -> bool:
    """Whether a file is there and ends as its format does: after a power cut it may be empty."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(end)))
            return file.read(len(end)) == end
    except OSError:
        return False


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    finally:
        os.close(descriptor)
