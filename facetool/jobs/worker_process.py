"""Worker processes: how they start, and what they are like once they run."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path

from facetool.errors import FacetoolError

WORKER_DIED = "the worker process died on it (out of memory?)"

NO_WORKER = (
    "the worker processes cannot start, as each imports the script: keep it in a file, with its "
    "calls of facetool under 'if __name__ == \"__main__\":'"
)

_SOCKET_PATH = 104
"""Bytes of a socket's path: 104 on macOS, 108 on Linux, the closing NUL among them."""

_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)


def refuse_in_import() -> None:
    """Refuse to work in a worker process that is only importing the main module.

    Raises:
        FacetoolError: the script calls facetool without ``if __name__ == "__main__"``.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise FacetoolError(NO_WORKER)


def worker_context(module: str) -> BaseContext:
    """How workers are started.

    A fork of a process in which OpenCV or torch have threads may hang, so workers come from a
    fresh process that has loaded nothing but what they need.

    Args:
        module: what they need.
    """
    if "forkserver" in multiprocessing.get_all_start_methods() and _sockets_fit():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([module])
        return context
    return multiprocessing.get_context("spawn")


def _sockets_fit() -> bool:
    """Whether the fork server can have its socket in the folder for temporary files."""
    socket = Path(tempfile.gettempdir(), "pymp-12345678", "listener-12345678")
    return len(os.fsencode(socket)) < _SOCKET_PATH


@contextmanager
def uninterruptible_children() -> Iterator[None]:
    """Processes started meanwhile, and theirs, never see Ctrl-C: not even while they import.

    It is the main process's business, which stops handing out work and ends the workers. It sees
    a Ctrl-C of that time afterwards: a worker half started could not be ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            yield
            return
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    finally:
        signal.signal(signal.SIGINT, before)
        if came and callable(before):
            before(signal.SIGINT, None)  # not raised again: who counts signals has seen this one
        elif came:
            signal.raise_signal(signal.SIGINT)


def free_files() -> int:
    """How many more files this process may open, those that it inherited being open already."""
    try:
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = [int(entry.name) for entry in Path("/dev/fd").iterdir()]
    except ImportError:  # Windows
        return sys.maxsize
    except OSError as error:
        return 0 if error.errno in _NO_MORE_FILES else sys.maxsize
    if most == resource.RLIM_INFINITY:
        return sys.maxsize
    return most - sum(number < most for number in taken) + 1  # one to look


@contextmanager
def starting_workers() -> Iterator[None]:
    """Processes are started meanwhile: what keeps them from it is told as that.

    Raises:
        FacetoolError: they cannot be started.
        OSError: this process may open no more files, which is not theirs to tell.
    """
    try:
        with uninterruptible_children():
            yield
    except OSError as error:
        if error.errno in _NO_MORE_FILES:
            raise
        raise FacetoolError(
            f"no worker process starts ({error.strerror or error}); can this user run "
            f"{sys.executable}?"
        ) from error


def become_worker() -> None:
    """In a worker process: leave Ctrl-C to the main process, end with it, keep to one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # see uninterruptible_children; on Windows, too
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # on odd metadata


def _die_with_parent() -> None:
    """A killed main process must not leave workers behind that wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
