"""The standard streams, which may be closed, or be closed by whoever reads them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper


def prepare_streams() -> None:
    """Give closed streams an end, and let the others take every letter.

    Without it the next file that is opened would be the standard output of libraries.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, "r" if number == 0 else "w"))  # noqa: PTH123, SIM115
        elif number and isinstance(stream, TextIOWrapper):  # a terminal need not know every letter
            stream.reconfigure(errors="backslashreplace")


def reader_is_gone() -> bool:
    """Whether stdout or stderr is a pipe that nobody reads any more; what was printed tries it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            return True
        except OSError:
            continue
    return False


def drop_output() -> None:
    """Nobody takes what is still to be printed: keep Python from trying once more at the end."""
    with suppress(OSError):  # no file may be left to open
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
