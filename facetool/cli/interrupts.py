"""Ctrl-C and SIGTERM: the first ends a command in order, the second at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

STOPPED = 128 + signal.SIGINT
"""The exit code of an interrupted command, as shells know it."""

_PATIENCE = 0.5
"""Seconds that a call into a library may keep the main thread from seeing the signal."""

_seen = threading.Event()


def handle_interrupts() -> None:
    """Take over SIGINT and SIGTERM. The first raises ``KeyboardInterrupt`` in the main thread."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    # A process that is stopped leaves semaphores to Python's tracker of them, which would say so.
    sys.warnoptions.append("ignore:resource_tracker")
    # Python calls a handler only between two of its own instructions. The byte that arrives here
    # is written at once, so that a thread sees the signal even while a library computes.
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(receiver, sender), daemon=True).start()


def came() -> bool:
    """Whether a signal has come."""
    return _seen.is_set()


def expect_no_more() -> None:
    """A command is ending for a signal: the next one ends it at once."""
    _seen.set()


def end_soon() -> None:
    """All has been said: whatever keeps Python from ending has half a second to let it."""
    threading.Thread(target=_end, daemon=True).start()


def _end() -> None:
    time.sleep(_PATIENCE)
    os._exit(STOPPED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _seen.is_set():
        _stop()
    _seen.set()
    raise KeyboardInterrupt


def _watch(receiver: socket.socket, sender: socket.socket) -> None:
    """Stop the process where the main thread does not come to it; ``sender`` is kept open."""
    while received := receiver.recv(1):
        if received[0] not in (signal.SIGINT, signal.SIGTERM):
            continue
        time.sleep(_PATIENCE)
        # Training has a handler of its own, which first writes a checkpoint.
        if signal.getsignal(received[0]) is _interrupt and not _seen.is_set():
            _stop()


def _stop() -> None:
    """End without unwinding: files that are not whole have no name yet, locks end by themselves."""
    if sys.__stderr__ is not None:
        os.write(sys.__stderr__.fileno(), b"facetool: stopped\n")
    os._exit(STOPPED)
