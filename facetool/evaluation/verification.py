"""What the three verification protocols share: folds, the threshold sweep, and the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.evaluation.pairs import Trials
from facetool.evaluation.roc import Counts, Curve, TarAtFar, count
from facetool.files.text import counted

SWEEP = np.arange(0, 4, 0.01)
"""The 400 thresholds all three protocols try, 0 … 3.99."""

FAR_TARGETS = (1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Fold:
    """One fold's outcome: the threshold trained on the others, tested here.

    Attributes:
        threshold: of the distance, one of ``SWEEP``.
        accuracy: on this fold, 0 … 1.
        counts: of this fold at every threshold of ``SWEEP``.
    """

    threshold: float
    accuracy: float
    counts: Counts


@dataclass(frozen=True, eq=False)
class Verification:
    """The outcome of a protocol.

    A fold without any pair is None and left out of every average; one without genuine or
    without impostor pairs has an accuracy but is left out of the averaged ROC curve.

    Attributes:
        folds: one per fold.
        curve: the averaged ROC curve; None where all pairs are of one kind.
        averaging: how it was averaged, in words.
        tar_at_far: for each of ``FAR_TARGETS``.
        distances: of each pair, (N,); where they depend on the training folds, as it was tested.
    """

    folds: list[Fold | None]
    curve: Curve | None
    averaging: str
    tar_at_far: list[TarAtFar]
    distances: NDArray[np.float64]

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Accuracy of each fold that has pairs."""
        return np.array([fold.accuracy for fold in self.folds if fold])

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the folds."""
        return float(self.accuracies.mean())

    @property
    def std(self) -> float:
        """Population standard deviation of the accuracy over the folds, the ± of papers."""
        return float(self.accuracies.std())

    @property
    def se(self) -> float:
        """Standard error of the mean accuracy: sample standard deviation / sqrt(folds).

        What LFW's authors ask for; ``std`` / 3 with ten folds.
        """
        return self.std / float(np.sqrt(len(self.accuracies) - 1))

    def as_dict(self) -> dict[str, Any]:
        """The metrics as plain JSON values, null for a fold without pairs."""
        return {
            "accuracy": {
                "mean": self.accuracy,
                "std": self.std,
                "se": self.se,
                "folds": [fold and fold.accuracy for fold in self.folds],
                "thresholds": [fold and round(fold.threshold, 2) for fold in self.folds],
            },
            "auc": {"value": self.curve and self.curve.auc, "averaging": self.averaging},
            "eer": self.curve and self.curve.eer,
            "tar_at_far": [
                {**asdict(rate), "measurable": rate.measurable} for rate in self.tar_at_far
            ],
        }


def cross_validate(
    distances: NDArray[np.float64], trials: Trials, choose: Callable[[Counts], int]
) -> list[Fold | None]:
    """Train a threshold on the other folds and test it, for each fold that has pairs.

    Args:
        distances: (N,), or (folds, N) where they depend on the training folds.
        trials: N pairs.
        choose: the index of the best threshold of ``SWEEP``, from the training folds' counts.

    Raises:
        FacetoolError: too few folds have pairs.
    """
    trials.check_folds()
    per_fold = np.broadcast_to(distances, (trials.fold_count, len(trials)))
    folds: list[Fold | None] = []
    for number, values in enumerate(per_fold):
        test = trials.folds == number
        if not test.any():
            folds.append(None)
            continue
        best = choose(count(values[~test], trials.same[~test], SWEEP))
        counts = count(values[test], trials.same[test], SWEEP)
        folds.append(Fold(float(SWEEP[best]), float(counts.accuracy[best]), counts))
    return folds


def tested_distances(distances: NDArray[np.float64], trials: Trials) -> NDArray[np.float64]:
    """The distance of each pair as it was tested, (N,), of (N,) or (folds, N)."""
    if distances.ndim == 2:
        return distances[trials.folds, np.arange(len(trials))]
    return distances


def curve_counts(folds: list[Fold | None]) -> list[Counts]:
    """The counts of the folds that have an ROC curve."""
    return [fold.counts for fold in folds if fold and fold.counts.has_curve]


def misfit(folds: list[Fold | None]) -> str | None:
    """Why ``SWEEP`` does not suit these embeddings, or None where it does.

    Past its end more than 1 % of the genuine pairs are out of reach; or half of the impostor
    pairs fall within its first ten steps, so that it is too coarse.
    """
    filled = [fold.counts for fold in folds if fold]
    genuine = sum(counts.genuine for counts in filled)
    impostors = sum(counts.impostors for counts in filled)
    reached = sum(int(counts.true_positives[-1]) for counts in filled)
    too_close = sum(int(counts.false_positives[10]) for counts in filled)
    if genuine - reached > 0.01 * genuine:
        return (
            f"{genuine - reached:,} of {counted(genuine, 'genuine pair')} are farther apart than "
            f"the largest threshold, {SWEEP[-1]:.2f}"
        )
    if too_close > 0.5 * impostors:
        return (
            f"{too_close:,} of {counted(impostors, 'impostor pair')} are closer than "
            f"{SWEEP[10]:.1f}, too close for thresholds in steps of {SWEEP[1]:.2f}"
        )
    return None
