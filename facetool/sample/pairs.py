"""Choosing pairs of photos for verification, and writing them as LFW does."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

import numpy as np

from facetool.evaluation.pairs import FOLDS

MOST_PER_FOLD = 300  # of either kind, as in LFW's View 2


class DrawnFold(NamedTuple):
    """One fold; people and photos are counted from 0.

    Attributes:
        same: rows of (person, photo, photo).
        different: rows of (person, photo, person, photo).
    """

    same: list[tuple[int, int, int]]
    different: list[tuple[int, int, int, int]]


def choose_pairs(people: int, images: int, seed: int) -> list[DrawnFold]:
    """Choose as many pairs as the album allows, at most 300 of either kind per fold.

    No pair occurs twice, and all folds are equally large. With 20 people or more there are
    ten folds and nobody occurs in two of them; fewer people occur in all, and where there are
    fewer than ten pairs of either kind there are fewer folds.

    Args:
        people: at least 2.
        images: of each person, at least 1; with 1 there are no pairs and no folds.
        seed: decides which pairs are taken.
    """
    rng = np.random.default_rng([seed, 3])
    if people >= 2 * FOLDS:
        parts = np.array_split(np.arange(people), FOLDS)
        smallest = len(parts[-1])
        each = min(_count_same(smallest, images), _count_different(smallest, images), MOST_PER_FOLD)
        if each == 0:
            return []
        return [_draw(part.tolist(), images, each, rng) for part in parts]
    total = min(_count_same(people, images), _count_different(people, images))
    folds = min(FOLDS, total)
    if folds == 0:
        return []
    each = min(total // folds, MOST_PER_FOLD)
    drawn = _draw(list(range(people)), images, folds * each, rng)
    return [
        DrawnFold(sorted(drawn.same[k::folds]), sorted(drawn.different[k::folds]))
        for k in range(folds)
    ]


def _count_same(people: int, images: int) -> int:
    return people * (images * (images - 1) // 2)


def _count_different(people: int, images: int) -> int:
    return people * (people - 1) // 2 * images**2


def _draw(people: Sequence[int], images: int, each: int, rng: np.random.Generator) -> DrawnFold:
    """Draw ``each`` pairs of both kinds among ``people``; pairs are numbered, not listed."""
    same = []
    for number in _numbers(_count_same(len(people), images), each, rng):
        person, rest = divmod(number, images * (images - 1) // 2)
        same.append((people[person], *_unordered(rest)))
    different = []
    for number in _numbers(_count_different(len(people), images), each, rng):
        couple, photos = divmod(number, images**2)
        one, other = _unordered(couple)
        different.append((people[one], photos // images, people[other], photos % images))
    return DrawnFold(same, different)


def _numbers(total: int, count: int, rng: np.random.Generator) -> list[int]:
    """``count`` different numbers below ``total``, in ascending order."""
    return sorted(rng.choice(total, count, replace=False).tolist())


def _unordered(number: int) -> tuple[int, int]:
    """The pair of that number in (0, 1), (0, 2), (1, 2), (0, 3), …"""
    high = (1 + isqrt(1 + 8 * number)) // 2
    return number - high * (high - 1) // 2, high


def pairs_text(folds: Sequence[DrawnFold], names: Sequence[str]) -> str:
    """The contents of ``pairs.txt``: LFW's View 2 format, photos counted from 1."""
    lines = [f"{len(folds)}\t{len(folds[0].same) if folds else 0}"]
    for fold in folds:
        lines += [f"{names[p]}\t{a + 1}\t{b + 1}" for p, a, b in fold.same]
        lines += [f"{names[p]}\t{a + 1}\t{names[q]}\t{b + 1}" for p, a, q, b in fold.different]
    return "\n".join(lines) + "\n"
