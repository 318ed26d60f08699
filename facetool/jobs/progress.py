"""Following long work. By default nothing is shown; pass a listener to see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class ProgressBar:
    """One task of known length. This one shows nothing."""

    def update(self, count: int = 1) -> None:
        """Advance by ``count``."""

    def describe(self, text: str) -> None:
        """What stands beside the bar, such as the loss of a training."""

    def close(self) -> None:
        """The task has ended."""


class Progress:
    """What long work tells about itself. This one is silent: derive from it, and :func:`follow`."""

    def bar(self, title: str, total: int | None, done: int, unit: str) -> ProgressBar:
        """A task begins.

        Args:
            title: what it does.
            total: its length, where that is known.
            done: how much of it an earlier run did.
            unit: of both, such as ``img`` or ``B``.
        """
        return ProgressBar()

    def remark(self, name: str, text: str) -> None:
        """An input failed, or there is something to say about it.

        Args:
            name: of the input.
            text: why, or what.
        """


_listener: ContextVar[Progress] = ContextVar("listener", default=Progress())  # noqa: B039


@contextmanager
def follow(progress: Progress) -> Iterator[None]:
    """Let ``progress`` know of all work that this thread does in the block."""
    token = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Progress:
    """The listener of this thread."""
    return _listener.get()


@contextmanager
def progress_bar(
    title: str, total: int | None, done: int = 0, unit: str = "img"
) -> Iterator[ProgressBar]:
    """Tell the listener of a task; see :meth:`Progress.bar`."""
    bar = listener().bar(title, total, done, unit)
    try:
        yield bar
    finally:
        bar.close()
