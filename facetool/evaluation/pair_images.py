"""The images of a pairs file, and which of the available images they are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from facetool.errors import FormatError
from facetool.files.text import same_spelling
from facetool.images.formats import SUFFIXES


class LfwImage(NamedTuple):
    """An image of LFW: a person and a number from 1."""

    person: str
    number: int

    def __str__(self) -> str:
        return f"{self.person}_{self.number:04d}"


class PathImage(NamedTuple):
    """An image by its path, or the end of it, without suffix."""

    path: str

    @classmethod
    def of(cls, path: str) -> PathImage:
        """From a path as it stands in a file, of Windows or of others."""
        return cls(without_suffix(same_spelling(path.replace("\\", "/").removeprefix("./"))))

    def __str__(self) -> str:
        return self.path


def without_suffix(name: str) -> str:
    """A name without the suffix of an image file, if it has one."""
    stem, dot, suffix = name.rpartition(".")
    return stem if f"{dot}{suffix.lower()}" in SUFFIXES else name


class ImageIndex:
    """Finds the images of pairs among names such as those of a folder or a ``labels.csv``.

    Args:
        names: paths with forward slashes.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._rows: dict[str, list[int]] = {}
        for row, name in enumerate(self._names):
            self._rows.setdefault(_last(name), []).append(row)

    def find(self, image: LfwImage | PathImage) -> int | None:
        """The row of an image, or None.

        Of LFW, ``<person>_NNNN`` in any folder counts, unless folders must decide between
        several; of a path, as many of its folders as the name given has.

        Raises:
            FormatError: two images fit.
        """
        if isinstance(image, LfwImage):
            rows = self._rows.get(same_spelling(str(image)), [])
            if len(rows) > 1:
                folder = same_spelling(image.person)
                rows = [row for row in rows if self._folders(row)[-1:] == [folder]] or rows
        else:
            wanted = image.path.split("/")
            rows = self._rows.get(wanted[-1], [])
            rows = [row for row in rows if _fit(wanted[:-1], self._folders(row))]
        if len(rows) > 1:
            raise FormatError(
                f"{image} is there more than once: {self._names[rows[0]]} and "
                f"{self._names[rows[1]]}; keep one of them"
            )
        return rows[0] if rows else None

    def _folders(self, row: int) -> list[str]:
        return same_spelling(self._names[row]).split("/")[:-1]


def _last(name: str) -> str:
    return without_suffix(same_spelling(PurePosixPath(name).name))


def _fit(one: list[str], other: list[str]) -> bool:
    """Whether the shorter of two paths is the end of the longer."""
    count = min(len(one), len(other))
    return one[len(one) - count :] == other[len(other) - count :]
