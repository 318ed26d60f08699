"""Labelled pairs in cross-validation folds, and the files that list them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FacetoolError, FormatError
from facetool.evaluation.pair_images import LfwImage, PathImage
from facetool.files.text import counted, read_text, same_spelling

FOLDS = 10
"""Where a file does not say how many."""


@dataclass(frozen=True, eq=False)
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
        """Make sure that there is something to cross-validate, and an ROC curve.

        Raises:
            FacetoolError: fewer than two folds have pairs, or none has both kinds of pairs.
        """
        self.check_folds()
        if not self.same.any() or self.same.all():
            kind = "genuine" if self.same.any() else "impostor"
            raise FacetoolError(f"all pairs that can be scored are {kind}: there is no ROC curve")
        if not set(self.folds[self.same]) & set(self.folds[~self.same]):
            raise FacetoolError(
                "no fold has both genuine and impostor pairs that can be scored, "
                "so there is no ROC curve; represent more of the images in the pairs file"
            )

    def check_folds(self) -> None:
        """Make sure that there is something to cross-validate.

        Raises:
            FacetoolError: fewer than two folds have pairs.
        """
        filled = np.unique(self.folds)
        if len(filled) < 2:
            raise FacetoolError(
                f"only {len(filled)} of {counted(self.fold_count, 'fold')} has pairs that can be "
                "scored; a threshold is chosen on the other folds, so two are needed"
            )


@dataclass(frozen=True)
class Pairs:
    """The pairs of a file, in its order: two images each, kind and fold."""

    first: list[LfwImage | PathImage]
    second: list[LfwImage | PathImage]
    trials: Trials

    def __len__(self) -> int:
        return len(self.first)


class _Pair(NamedTuple):
    first: LfwImage | PathImage
    second: LfwImage | PathImage
    same: bool


_Line = tuple[int, list[str]]
"""Its number in the file, and its cells."""

_LABELS = {"1": True, "0": False, "-1": False, "true": True, "false": False}


def read_pairs(path: Path) -> Pairs:
    """Read LFW's ``pairs.txt`` or one of the forms it has been brought into.

    A line is ``person n1 n2`` for a genuine pair, ``person1 n1 person2 n2`` for an impostor
    pair, or two paths with a label 1 or 0 before or behind; cells are separated by tabs, commas,
    semicolons or, where there are none of these, white space. The first line may give

    - the number of folds F and of pairs P (View 2): P genuine and P impostor pairs follow in
      turn, F times;
    - P alone (View 1): the same, as often as there are lines for it;
    - the columns' names, or nothing: then the folds are the blocks of genuine and impostor pairs
      that follow each other, if all are equally long, and else ten of equal size.

    A single fold is cut into ten, each with its share of both kinds.

    Raises:
        FormatError: naming the line that is not of this form.
    """
    try:
        lines = list(_cells(read_text(path)))
    except csv.Error as error:
        raise FormatError(f"{path}: not lines of pairs ({error})") from error
    if not lines:
        raise FormatError(f"{path} line 1: expected pairs, found an empty file")
    header = _header(lines[0][1])
    if header is None:
        parsed = _parse(lines[0][1])
        start = 0 if parsed else 1
        if not parsed and (len(lines[0][1]) < 3 or any(map(str.isdecimal, lines[0][1]))):
            raise FormatError(
                f"{path} line 1: expected <folds><TAB><pairs of each kind in a fold>, the names of "
                f"columns or a pair, found {_shown(lines[0][1])}"
            )
    else:
        start = 1
    pairs: list[_Pair] = []
    for number, cells in lines[start:]:
        pair = _parse(cells)
        if pair is None or (pairs and type(pair.first) is not type(pairs[0].first)):
            raise FormatError(
                f"{path} line {number}: expected <person> <n> <n> or <person> <n> <person> <n>, "
                f"separated by tabs, or two paths and a label 1 or 0, found {_shown(cells)}"
            )
        if header is not None:
            # Which kind is due follows from the place: a person's name left out, or a line
            # lost, would otherwise pass as a pair of the other kind.
            genuine_due = len(pairs) // header[1] % 2 == 0
            if pair.same != genuine_due:
                raise FormatError(
                    f"{path} line {number}: {'a genuine' if genuine_due else 'an impostor'} pair "
                    f"is due here ({header[1]} of each kind in turn), found {_shown(cells)}"
                )
        pairs.append(pair)
    if header is not None:
        _check_count(path, lines[-1][0], header, len(pairs))
    if not pairs:
        raise FormatError(f"{path}: there are no pairs in it")
    return Pairs(
        [pair.first for pair in pairs],
        [pair.second for pair in pairs],
        _trials(np.array([pair.same for pair in pairs], bool), header),
    )


def _cells(text: str) -> Iterator[_Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        separator = next((mark for mark in "\t;," if mark in line), None)
        cells = next(csv.reader([line], delimiter=separator)) if separator else line.split()
        cells = [cell.strip() for cell in cells]
        while len(cells) > 1 and not cells[-1]:
            cells.pop()
        yield number, cells


def _shown(cells: Sequence[str]) -> str:
    return repr(" ".join(cells)[:80])


def _header(cells: Sequence[str]) -> tuple[int | None, int] | None:
    """Folds, where they are given, and pairs of each kind in a fold; None: no such header."""
    if len(cells) > 2 or not all(cell.isdecimal() and int(cell) for cell in cells):
        return None
    return (int(cells[0]) if len(cells) == 2 else None), int(cells[-1])


def _check_count(path: Path, last: int, header: tuple[int | None, int], count: int) -> None:
    folds, per_kind = header
    if folds is None and count and count % (2 * per_kind) == 0:
        return
    announced = 2 * (folds or 1) * per_kind
    if count != announced:
        raise FormatError(
            f"{path} line {last}: line 1 announces {counted(announced, 'pair')}, "
            f"the file has {count:,}; is it complete?"
        )


def _parse(cells: Sequence[str]) -> _Pair | None:
    if len(cells) == 3 and all(cells) and not cells[1].isdecimal():
        for label, one, other in ((cells[2], *cells[:2]), cells):
            if label.lower() in _LABELS:
                return _Pair(PathImage.of(one), PathImage.of(other), _LABELS[label.lower()])
        return None
    if len(cells) == 3:
        cells = [*cells[:2], cells[0], cells[2]]
    if len(cells) != 4 or not all(cells) or not (cells[1].isdecimal() and cells[3].isdecimal()):
        return None
    one, other = same_spelling(cells[0]), same_spelling(cells[2])
    return _Pair(LfwImage(one, int(cells[1])), LfwImage(other, int(cells[3])), one == other)


def _trials(same: NDArray[np.bool_], header: tuple[int | None, int] | None) -> Trials:
    blocks = [len(list(block)) for _, block in groupby(same.tolist())]
    per_kind = header[1] if header else blocks[0]
    regular = bool(same[0]) and len(set(blocks)) == 1 and len(blocks) % 2 == 0
    folds = len(same) // (2 * per_kind)
    if header is not None or (regular and per_kind > 1):
        if folds > 1:
            return Trials(same, np.arange(len(same)) // (2 * per_kind), folds)
    else:
        trials = Trials.in_order(same, FOLDS)
        mixed = set(trials.folds[same]) & set(trials.folds[~same])
        if len(mixed) == len(set(trials.folds)):
            return trials
    parts = np.empty(len(same), np.int64)
    for kind in (same, ~same):
        parts[kind] = Trials.in_order(same[kind], FOLDS).folds
    return Trials(same, parts, FOLDS)
