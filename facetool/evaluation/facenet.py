"""LFW verification as facenet does it (davidsandberg/facenet, src/facenet.py)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from facetool.evaluation.distances import arccos_distance, squared_l2
from facetool.evaluation.insightface import evaluate_distances
from facetool.evaluation.pairs import Trials
from facetool.evaluation.verification import Verification

_METRICS = {"squared-l2": squared_l2, "arccos": arccos_distance}


def evaluate_facenet(
    first: ArrayLike,
    second: ArrayLike,
    trials: Trials,
    metric: str = "squared-l2",
    subtract_mean: bool = False,
) -> Verification:
    """Verify pairs of embeddings, taken as they are, (N, D) each.

    facenet concatenates the embedding of the mirrored image beforehand. Thresholds, folds and
    averages are InsightFace's, whose evaluation descends from facenet's.

    Args:
        first: embeddings of the pairs' first images.
        second: embeddings of their second images.
        trials: N pairs.
        metric: ``squared-l2``, or ``arccos`` for arccos(cosine) / π.
        subtract_mean: subtract the mean embedding of the training folds' pairs. It changes
            ``arccos`` only: squared L2 does not depend on the origin.

    Raises:
        FacetoolError: too few pairs to cross-validate.
    """
    distance = _METRICS[metric]
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not subtract_mean:
        return evaluate_distances(distance(a, b), trials)
    trials.check()
    distances = np.empty((trials.fold_count, len(trials)))
    for number in range(trials.fold_count):
        train = trials.folds != number
        mean = (a[train].mean(axis=0) + b[train].mean(axis=0)) / 2
        distances[number] = distance(a - mean, b - mean)
    return evaluate_distances(distances, trials)
