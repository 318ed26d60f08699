"""Pairs with their distances and the thresholds they were judged by: errors and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetool.evaluation.distances import normalize
from facetool.evaluation.pairs import Trials
from facetool.evaluation.verification import Verification


@dataclass(frozen=True, kw_only=True)
class ScoredPair:
    """A pair and how it was judged.

    Attributes:
        first: an image, as in ``labels.csv``.
        second: the other.
        same: whether they show one person.
        accepted: whether they were taken for one person.
        distance: by the protocol's metric.
        threshold: of that distance, trained on the folds that the pair is not in.
        similarity: cosine of the embeddings.
    """

    first: str
    second: str
    same: bool
    accepted: bool
    distance: float
    threshold: float
    similarity: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredPairs:
    """All scored pairs, N of them, in the order of their file.

    Attributes:
        first: N images, as in ``labels.csv``.
        second: N images.
        same: bool (N,), one person's.
        distances: (N,), by the protocol's metric.
        thresholds: (N,), trained on the folds that the pair is not in.
        similarities: (N,), cosine.
    """

    first: Sequence[str]
    second: Sequence[str]
    same: NDArray[np.bool_]
    distances: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    similarities: NDArray[np.float64]

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Which are taken for one person, (N,)."""
        return self.distances < self.thresholds

    def errors(self, *, accepted: bool) -> list[ScoredPair]:
        """False accepts or false rejects, the worst first: the nearest, or the farthest."""
        rows = self._rows(self.accepted & ~self.same if accepted else ~self.accepted & self.same)
        return [self._pair(row) for row in (rows if accepted else rows[::-1])]

    def examples(self, count: int, *, accepted: bool) -> list[ScoredPair]:
        """Pairs judged rightly, from clear to close, at even steps of their order by distance."""
        rows = self._rows(self.accepted & self.same if accepted else ~self.accepted & ~self.same)
        if not accepted:
            rows = rows[::-1]
        steps = np.linspace(0, max(len(rows) - 1, 0), min(count, len(rows)))
        return [self._pair(rows[round(step)]) for step in steps]

    def _rows(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Rows by rising distance."""
        rows = np.flatnonzero(chosen)
        return rows[np.argsort(self.distances[rows], kind="stable")]

    def _pair(self, row: int) -> ScoredPair:
        return ScoredPair(
            first=self.first[row],
            second=self.second[row],
            same=bool(self.same[row]),
            accepted=bool(self.distances[row] < self.thresholds[row]),
            distance=float(self.distances[row]),
            threshold=float(self.thresholds[row]),
            similarity=float(self.similarities[row]),
        )


def score_pairs(
    names: tuple[Sequence[str], Sequence[str]],
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    trials: Trials,
    outcome: Verification,
) -> ScoredPairs:
    """Pairs as a protocol judged them.

    Args:
        names: the first and the second images, N each.
        vectors: their embeddings, (N, D) each.
        trials: N pairs.
        outcome: of the protocol.
    """
    thresholds = np.array([fold.threshold if fold else np.nan for fold in outcome.folds])
    first, second = (normalize(side) for side in vectors)
    return ScoredPairs(
        first=names[0],
        second=names[1],
        same=trials.same,
        distances=outcome.distances,
        thresholds=thresholds[trials.folds],
        similarities=np.einsum("nd,nd->n", first, second),
    )
