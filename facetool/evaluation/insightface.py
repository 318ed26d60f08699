"""Verification as InsightFace does it (recognition/arcface_mxnet/verification.py)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facetool.evaluation.distances import normalize, squared_l2
from facetool.evaluation.pairs import Trials
from facetool.evaluation.roc import Counts, Curve, TarAtFar, count, tar_at_far
from facetool.evaluation.verification import (
    FAR_TARGETS,
    SWEEP,
    Fold,
    Verification,
    cross_validate,
    curve_counts,
    tested_distances,
)
from facetool.files.text import counted

FINE_SWEEP = np.arange(0, 4, 0.001)
"""The thresholds among which that of a false accept rate is interpolated."""


def first_argmax(train: Counts) -> int:
    """The smallest of the thresholds with the best accuracy."""
    return int(np.argmax(train.accuracy))


def evaluate_insightface(first: ArrayLike, second: ArrayLike, trials: Trials) -> Verification:
    """Verify pairs of embeddings, (N, D) each, L2-normalised here, by squared L2 distance.

    InsightFace adds the embedding of the mirrored image beforehand.

    Raises:
        FacetoolError: too few pairs to cross-validate.
    """
    return evaluate_distances(squared_l2(normalize(first), normalize(second)), trials)


def evaluate_distances(distances: NDArray[np.float64], trials: Trials) -> Verification:
    """The same from distances: (N,), or (folds, N) where they depend on the training folds.

    Folds are judged as they are, also where each holds pairs of one kind only; the ROC curve is
    then that of all pairs together. Where all pairs are of one kind there is none.

    Raises:
        FacetoolError: too few pairs to cross-validate.
    """
    folds = cross_validate(distances, trials, first_argmax)
    counts = curve_counts(folds)
    if not counts:
        return _pooled(folds, distances, trials)
    curve = Curve(
        np.mean([fold.fpr for fold in counts], axis=0),
        np.mean([fold.tpr for fold in counts], axis=0),
    )
    rates = [trained_tar_at_far(distances, trials, target) for target in FAR_TARGETS]
    averaging = f"{counted(len(counts), 'fold')} averaged at {len(SWEEP)} thresholds"
    return Verification(folds, curve, averaging, rates, tested_distances(distances, trials))


def _pooled(
    folds: list[Fold | None], distances: NDArray[np.float64], trials: Trials
) -> Verification:
    distances = tested_distances(distances, trials)
    if trials.same.all() or not trials.same.any():
        return Verification(folds, None, "all pairs are of one kind", [], distances)
    pooled = count(distances, trials.same, SWEEP)
    rates = [tar_at_far(distances, trials.same, target) for target in FAR_TARGETS]
    curve = Curve(pooled.fpr, pooled.tpr)
    averaging = "all pairs together: each fold has one kind only"
    return Verification(folds, curve, averaging, rates, distances)


def trained_tar_at_far(distances: NDArray[np.float64], trials: Trials, target: float) -> TarAtFar:
    """TAR where the training folds have a FAR of ``target``, averaged over the test folds.

    The threshold is ``interp(target, FAR, thresholds)`` on the training folds, 0 where they do
    not reach ``target``. InsightFace's own code computes the same with SciPy 1.6 to 1.8 and
    breaks on later ones. Folds without both kinds of pairs are left out.
    """
    per_fold = np.broadcast_to(distances, (trials.fold_count, len(trials)))
    tests: list[Counts] = []
    thresholds: list[float] = []
    for number, values in enumerate(per_fold):
        test = trials.folds == number
        far = count(values[~test], trials.same[~test], FINE_SWEEP).fpr
        threshold = float(np.interp(target, far, FINE_SWEEP)) if far[-1] >= target else 0.0
        counts = count(values[test], trials.same[test], [threshold])
        if counts.has_curve:
            tests.append(counts)
            thresholds.append(threshold)
    tar = np.array([counts.tpr[0] for counts in tests])
    return TarAtFar(
        target,
        float(tar.mean()),
        float(tar.std()),
        float(np.mean([counts.fpr[0] for counts in tests])),
        float(np.mean(thresholds)),
        sum(int(counts.true_positives[0]) for counts in tests),
        sum(counts.genuine for counts in tests),
        sum(int(counts.false_positives[0]) for counts in tests),
        sum(counts.impostors for counts in tests),
    )
