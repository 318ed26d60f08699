"""Counts at thresholds, ROC curves and the metrics read off them.

A pair is accepted (predicted to be one person) if its distance is below the threshold: d < t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facetool.evaluation.distances import Floats


@dataclass(frozen=True, eq=False)
class Counts:
    """How many pairs are accepted at each of T thresholds.

    Attributes:
        true_positives: int64 (T,), accepted genuine pairs.
        false_positives: int64 (T,), accepted impostor pairs.
        genuine: number of genuine pairs.
        impostors: number of impostor pairs.
    """

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    genuine: int
    impostors: int

    @property
    def tpr(self) -> Floats:
        """True positive rate, (T,); 0 where there are no genuine pairs."""
        return self.true_positives / max(self.genuine, 1)

    @property
    def fpr(self) -> Floats:
        """False positive rate, (T,); 0 where there are no impostor pairs."""
        return self.false_positives / max(self.impostors, 1)

    @property
    def accuracy(self) -> Floats:
        """Share of pairs judged correctly, (T,)."""
        right = self.true_positives + (self.impostors - self.false_positives)
        return np.asarray(right / (self.genuine + self.impostors))

    @property
    def has_curve(self) -> bool:
        """Whether both kinds of pairs are there, without which no ROC curve is defined."""
        return self.genuine > 0 and self.impostors > 0


def count(distances: ArrayLike, same: NDArray[np.bool_], thresholds: ArrayLike) -> Counts:
    """Count accepted pairs: distances (N,), genuine or not (N,), any thresholds (T,)."""
    values = np.asarray(distances, np.float64)
    genuine, impostors = np.sort(values[same]), np.sort(values[~same])
    # side="left" counts the distances strictly below each threshold.
    return Counts(
        np.searchsorted(genuine, thresholds, side="left").astype(np.int64),
        np.searchsorted(impostors, thresholds, side="left").astype(np.int64),
        len(genuine),
        len(impostors),
    )


@dataclass(frozen=True, eq=False)
class Curve:
    """An ROC curve as a polyline: false and true positive rates, both rising, (P,) each."""

    fpr: Floats
    tpr: Floats

    @classmethod
    def through(cls, fpr: ArrayLike, tpr: ArrayLike) -> Curve:
        """The curve through points given in any order."""
        x, y = np.asarray(fpr, np.float64), np.asarray(tpr, np.float64)
        order = np.lexsort((y, x))
        return cls(x[order], y[order])

    @classmethod
    def exact(cls, distances: ArrayLike, same: NDArray[np.bool_]) -> Curve:
        """The curve through every threshold that makes a difference."""
        thresholds = np.append(np.unique(np.asarray(distances, np.float64)), np.inf)
        counts = count(distances, same, thresholds)
        return cls(counts.fpr, counts.tpr)

    def at(self, fpr: ArrayLike) -> Floats:
        """True positive rate at any false positive rates, interpolated linearly.

        On a vertical stretch the upper end counts; past the last point its rate holds.
        """
        return np.interp(np.asarray(fpr, np.float64), self.fpr, self.tpr)

    @property
    def auc(self) -> float:
        """Area under the curve by the trapezoid rule.

        A curve that ends before a false positive rate of 1 goes on level, as in OpenFace's
        evaluation; what lies before its first point is left out.
        """
        x, y = np.append(self.fpr, 1.0), np.append(self.tpr, self.tpr[-1])
        return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))

    @property
    def eer(self) -> float:
        """Equal error rate: where the false positive and the false negative rate meet."""
        x, y = np.append(self.fpr, 1.0), np.append(self.tpr, self.tpr[-1])
        return float(np.interp(0.0, x - (1 - y), x))


@dataclass(frozen=True)
class TarAtFar:
    """True accept rate at a target false accept rate.

    Attributes:
        target: the false accept rate to stay within.
        tar: true accept rate (mean over folds, where thresholds are trained per fold).
        tar_std: population standard deviation over folds, None without folds.
        far: the false accept rate reached.
        threshold: of the distance (mean over folds).
        genuine_accepted: out of ``genuine``.
        impostors_accepted: out of ``impostors``.
    """

    target: float
    tar: float
    tar_std: float | None
    far: float
    threshold: float
    genuine_accepted: int
    genuine: int
    impostors_accepted: int
    impostors: int

    @property
    def measurable(self) -> bool:
        """Whether there are enough impostor pairs to measure the target rate."""
        return self.target * self.impostors >= 1 - 1e-9


def tar_at_far(distances: ArrayLike, same: NDArray[np.bool_], target: float) -> TarAtFar:
    """The highest true accept rate over all pairs at a false accept rate of at most ``target``.

    Distances (N,), genuine or not (N,), 0 <= target < 1; both kinds of pairs must be there.
    """
    values = np.asarray(distances, np.float64)
    impostors = np.sort(values[~same])
    allowed = int(target * len(impostors) + 1e-9)
    threshold = float(impostors[allowed])
    counts = count(values, same, [threshold])
    return TarAtFar(
        target,
        float(counts.tpr[0]),
        None,
        float(counts.fpr[0]),
        threshold,
        int(counts.true_positives[0]),
        counts.genuine,
        int(counts.false_positives[0]),
        counts.impostors,
    )
