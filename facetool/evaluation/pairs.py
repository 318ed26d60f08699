"""Labelled pairs in cross-validation folds, and LFW's file of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FacetoolError, FormatError
from facetool.files.text import read_text


@dataclass(frozen=True)
class Trials:
    """Which pairs show one person, and the fold each is tested in.

    Attributes:
        same: bool (N,), genuine pairs.
        folds: int64 (N,), 0 … ``fold_count`` - 1. A fold may be empty.
        fold_count: number of folds.
    """

    same: NDArray[np.bool_]
    folds: NDArray[np.int64]
    fold_count: int

    @classmethod
    def in_order(cls, same: NDArray[np.bool_], fold_count: int = 10) -> Trials:
        """Consecutive folds of equal size, the first ones longer by one if need be.

        As scikit-learn's ``KFold(fold_count, shuffle=False)``.
        """
        sizes = [len(part) for part in np.array_split(same, fold_count)]
        return cls(np.asarray(same, bool), np.repeat(np.arange(fold_count), sizes), fold_count)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Trials:
        """The trials where ``chosen`` (bool (N,)) holds; the folds keep their numbers."""
        return Trials(self.same[chosen], self.folds[chosen], self.fold_count)

    def __len__(self) -> int:
        return len(self.same)

    def check(self) -> None:
        """Make sure that there is something to cross-validate.

        Raises:
            FacetoolError: fewer than two folds have pairs, or none has both kinds of pairs.
        """
        filled = np.unique(self.folds)
        if len(filled) < 2:
            raise FacetoolError(
                f"only {len(filled)} of {self.fold_count} folds has pairs that can be scored; "
                "a threshold is chosen on the other folds, so two are needed"
            )
        if not set(self.folds[self.same]) & set(self.folds[~self.same]):
            raise FacetoolError(
                "no fold has both genuine and impostor pairs that can be scored, "
                "so there is no ROC curve; represent more of the images in the pairs file"
            )


class LfwImage(NamedTuple):
    """An image of LFW: a person and a number from 1."""

    person: str
    number: int

    def __str__(self) -> str:
        return f"{self.person}_{self.number:04d}"


@dataclass(frozen=True)
class Pairs:
    """The pairs of a ``pairs.txt``, in its order: two images each, kind and fold."""

    first: list[LfwImage]
    second: list[LfwImage]
    trials: Trials

    def __len__(self) -> int:
        return len(self.first)


def read_pairs(path: Path) -> Pairs:
    """Read a file in the format of LFW's View 2 ``pairs.txt``.

    The first line gives the number of folds F and of pairs P. F times, P genuine pairs follow
    (``person n1 n2``) and P impostor pairs (``person1 n1 person2 n2``), separated by tabs (or
    white space, where a line has no tab).

    Raises:
        FormatError: naming the line that is not of this form.
    """
    lines = read_text(path).splitlines()
    try:
        fold_count, per_kind = (int(cell) for cell in lines[0].split())
        if fold_count < 1 or per_kind < 1:
            raise ValueError
    except (ValueError, IndexError):
        found = repr(lines[0][:60]) if lines else "an empty file"
        raise FormatError(
            f"{path} line 1: expected <folds><TAB><pairs of each kind in a fold>, found {found}"
        ) from None

    first: list[LfwImage] = []
    second: list[LfwImage] = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        pair = _parse(line)
        if pair is None:
            raise FormatError(
                f"{path} line {number}: expected <person> <n> <n> or "
                f"<person> <n> <person> <n>, separated by tabs, found {line[:80]!r}"
            )
        # Which kind is due follows from the place: a person's name left out, or a line lost,
        # would otherwise pass as a pair of the other kind.
        genuine_due = len(first) // per_kind % 2 == 0
        if (pair[0].person == pair[1].person) != genuine_due:
            raise FormatError(
                f"{path} line {number}: {'a genuine' if genuine_due else 'an impostor'} pair is "
                f"due here ({per_kind} of each kind in turn), found {line[:80]!r}"
            )
        first.append(pair[0])
        second.append(pair[1])

    announced = 2 * fold_count * per_kind
    if len(first) != announced:
        raise FormatError(
            f"{path} line {len(lines)}: line 1 announces {announced:,} pairs, "
            f"the file has {len(first):,}; is it complete?"
        )
    place = np.arange(announced)
    trials = Trials(place // per_kind % 2 == 0, place // (2 * per_kind), fold_count)
    return Pairs(first, second, trials)


def _parse(line: str) -> tuple[LfwImage, LfwImage] | None:
    cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split())]
    if len(cells) == 3:
        cells.insert(2, cells[0])
    if len(cells) != 4 or not all(cells) or not (cells[1].isdecimal() and cells[3].isdecimal()):
        return None
    return LfwImage(cells[0], int(cells[1])), LfwImage(cells[2], int(cells[3]))
