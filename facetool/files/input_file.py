"""Opening what a user names as a file, which may be a pipe, or no file at all."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

NOT_A_FILE = "not a file"


def open_input(path: Path) -> BufferedReader:
    """Open a file, or a pipe that somebody writes to; nobody is waited for.

    Raises:
        OSError: it cannot be opened, or is a device, a socket or a pipe with nothing in it.
    """
    try:
        # Opening a named pipe would wait for its writer, perhaps for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise (_not_a_file(path) if error.errno == errno.ENXIO else error) from error
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        os.close(descriptor)
        raise _not_a_file(path)
    os.set_blocking(descriptor, True)
    file = os.fdopen(descriptor, "rb")
    if stat.S_ISFIFO(mode) and not file.peek(1):
        file.close()
        raise _not_a_file(path)
    return file


def check_regular(path: Path) -> None:
    """Refuse what is no file on a disk, for libraries that open it themselves.

    Raises:
        OSError: so it is, or it is not there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise _not_a_file(path)


def why_no_file(path: Path) -> str:
    """What to say of a path at which there is no file on a disk."""
    return NOT_A_FILE if path.exists() else "no such file"


def _not_a_file(path: Path) -> OSError:
    if path.is_dir():
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return OSError(errno.EINVAL, NOT_A_FILE, str(path))
