"""What long work says while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from facetool.jobs.progress import Progress, follow


@contextmanager
def remarks() -> Iterator[list[str]]:
    """The remarks in the block, each as a terminal shows it."""
    found: list[str] = []

    class Listener(Progress):
        def remark(self, name: str, text: str) -> None:
            found.append(f"{name}: {text}")

    with follow(Listener()):
        yield found
