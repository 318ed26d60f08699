"""Reading binary files that nobody has vouched for."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError
from facetool.files.text import counted


class ByteReader:
    """A cursor over a file's bytes that never reads, or allocates, past their end.

    Arrays are read-only views of the mapped file: reading one costs no memory of its own.

    Args:
        path: the file, which is memory-mapped.

    Raises:
        FormatError: the file is empty; later, the file ends too early.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            try:
                self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except ValueError:
                raise FormatError(f"{path}: the file is empty") from None
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bytes between the cursor and the end."""
        return len(self._data) - self.position

    def fail(self, reason: str) -> FormatError:
        """An error naming the file and the place; raise it."""
        return FormatError(f"{self.path}: {reason} (at byte {self.position:,})")

    def take(self, count: int) -> memoryview:
        """The next ``count`` bytes.

        Raises:
            FormatError: fewer are left, or ``count`` is negative.
        """
        if not 0 <= count <= self.remaining:
            raise self.fail(f"{counted(count, 'byte')} announced, {self.remaining:,} left")
        start = self.position
        self.position += count
        return self._data[start : self.position]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """The next values of a ``struct`` layout such as ``<IQ``."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        """The next ``count`` numbers as a read-only, one-dimensional view."""
        kind = np.dtype(dtype)
        return np.frombuffer(self.take(count * kind.itemsize), dtype=kind)
