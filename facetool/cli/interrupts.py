"""Ctrl-C and SIGTERM: the first ends a command in order and soon, the second at once."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

_PATIENCE = 0.5
"""Seconds that a call into a library may keep the main thread from seeing the signal."""

_LIMIT = 10.0
"""Seconds to end in order. Batch systems wait for as long, or longer, before they kill."""

_NUMBERS = (signal.SIGINT, signal.SIGTERM)

_seen = threading.Event()
_number: int = signal.SIGINT
"""Of the signal that came last."""


def handle_interrupts() -> None:
    """Take over SIGINT and SIGTERM. The first raises ``KeyboardInterrupt`` in the main thread."""
    _seen.clear()
    for number in _NUMBERS:
        signal.signal(number, _interrupt)
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


def exit_code() -> int:
    """Of a command that a signal has ended, as shells and batch systems know it."""
    return 128 + _number


def expect_no_more() -> None:
    """A command is ending: the next signal ends it at once."""
    _seen.set()


def end_soon() -> None:
    """All has been said: whatever keeps Python from ending has half a second to let it."""
    _after(_PATIENCE, lambda: os._exit(exit_code()))


def _interrupt(number: int, frame: FrameType | None) -> None:
    _note(number)
    if _seen.is_set():
        _stop()
    _seen.set()
    raise KeyboardInterrupt


def _note(number: int) -> None:
    global _number
    _number = number


def _watch(receiver: socket.socket, sender: socket.socket) -> None:
    """Stop the process where the main thread does not come to it, or to an end; ``sender`` is kept
    open."""
    ours = others = 0
    while received := receiver.recv(1):
        number = received[0]
        if number not in _NUMBERS:
            continue
        _note(number)
        # Training and the server have handlers of their own, which first end what is at work.
        if signal.getsignal(number) is not _interrupt:
            others += 1
            if others == 2:
                _after(_LIMIT, _stop)
            continue
        ours += 1
        time.sleep(_PATIENCE)
        if ours > 1 or not _seen.is_set():
            _stop()
        _after(_LIMIT, _stop)


def _after(seconds: float, end: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _stop() -> None:
    """End without unwinding: files that are not whole have no name yet, locks end by themselves."""
    _kill_workers()
    if sys.__stderr__ is not None:
        said = sys.__stderr__.fileno()
        if said in select.select([], [said], [], 0)[1]:  # of a pipe that nobody reads, never
            os.write(said, b"facetool: stopped\n")
    os._exit(exit_code())


def _kill_workers() -> None:
    """Workers end with this process by themselves, unless they, too, are stuck in a library."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        with suppress(Exception):  # the main thread may be starting or ending some
            for worker in multiprocessing.active_children():
                worker.kill()
