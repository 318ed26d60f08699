"""LFW verification as OpenFace does it (cmusatyalab/openface, evaluation/lfw.py)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from facetool.evaluation.distances import squared_l2
from facetool.evaluation.pairs import Trials
from facetool.evaluation.roc import Counts, Curve, tar_at_far
from facetool.evaluation.verification import (
    FAR_TARGETS,
    Verification,
    cross_validate,
    curve_counts,
)
from facetool.files.text import counted

GRID = np.linspace(0, 1, 1000)
"""The false positive rates at which the folds' curves are averaged."""


def openface_threshold(train: Counts) -> int:
    """The threshold OpenFace's search ends at: the last one before accuracy first drops.

    It goes up from 0, takes every threshold at least as good as the one before (so the last of
    a plateau), and stops at the first that is worse, even if better ones would follow.
    """
    drops = np.diff(train.accuracy) < 0
    return int(drops.argmax()) if drops.any() else len(drops)


def evaluate_openface(first: ArrayLike, second: ArrayLike, trials: Trials) -> Verification:
    """Verify pairs of embeddings, taken as they are, (N, D) each, by squared L2 distance.

    The ROC curves of the folds are interpolated at 1,000 false positive rates and averaged.
    OpenFace reports no TAR at FAR: here it is that of all pairs together.

    Raises:
        FacetoolError: too few pairs to cross-validate.
    """
    trials.check()
    distances = squared_l2(first, second)
    folds = cross_validate(distances, trials, openface_threshold)
    curves = [Curve(counts.fpr, counts.tpr) for counts in curve_counts(folds)]
    mean = Curve(GRID, np.mean([curve.at(GRID) for curve in curves], axis=0))
    rates = [tar_at_far(distances, trials.same, target) for target in FAR_TARGETS]
    return Verification(
        folds,
        mean,
        f"{counted(len(curves), 'fold')} interpolated at {len(GRID):,} FPRs",
        rates,
        distances,
    )
