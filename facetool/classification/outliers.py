"""How far each image lies from the others of its person."""

from __future__ import annotations

import numpy as np

from facetool.classification.fit import Labels, class_means
from facetool.evaluation.distances import Floats


def distance_to_rest(vectors: Floats, labels: Labels) -> Floats:
    """Mean squared L2 of each image to the other images of its person; NaN where there is none.

    By the parallel axis theorem no pair needs to be looked at: with n images of mean m, it is
    ``(n |x - m|² + Σ |x' - m|²) / (n - 1)``.
    """
    counts = np.bincount(labels)[labels]
    squares = np.square(vectors - class_means(vectors, labels)[labels]).sum(axis=1)
    total = np.bincount(labels, weights=squares)[labels]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (counts * squares + total) / (counts - 1)
    return np.where(counts > 1, mean, np.nan)
