"""Embeddings as points of a plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FacetoolError
from facetool.evaluation.distances import Floats


def project(vectors: Floats) -> NDArray[np.float32]:
    """t-SNE: (N, D) to (N, 2), the same points every time. Needs four images or more.

    Embeddings of one number are on a line already, and stay as they are.

    Raises:
        FacetoolError: the embeddings are all the same.
    """
    from sklearn.manifold import TSNE

    vectors = _moderate(vectors)
    # scikit-learn crashes the process when all points are the same.
    if np.ptp(vectors.astype(np.float32), axis=0).max() == 0:
        raise FacetoolError("the embeddings are all the same: there is nothing to draw")
    if vectors.shape[1] == 1:
        return np.pad(vectors, ((0, 0), (0, 1))).astype(np.float32)

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=0)
    return np.asarray(tsne.fit_transform(vectors.astype(np.float32)), np.float32)


def _moderate(vectors: Floats) -> Floats:
    """Vectors, scaled where the squares of their numbers would be too large or too small."""
    largest = np.abs(vectors).max()
    if 0 < largest < 1 / _MODERATE or largest > _MODERATE:
        return np.asarray(vectors / largest)
    return vectors


_MODERATE = 1e6

FEWEST_FOR_TSNE = 12
"""With fewer embeddings t-SNE shows its starting point more than the embeddings."""


def plane(vectors: Floats | NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Embeddings (N, D) as points (N, 2), and how: ``t-SNE``, or ``PCA`` for few; N is 2 or more.

    The same embeddings give the same points every time.
    """
    exact = _moderate(np.asarray(vectors, np.float64))
    varied = np.ptp(exact.astype(np.float32), axis=0).max() > 0
    if len(exact) >= FEWEST_FOR_TSNE and exact.shape[1] > 1 and varied:
        return project(exact), "t-SNE"
    left, spread, _ = np.linalg.svd(exact - exact.mean(axis=0), full_matrices=False)
    points = np.zeros((len(exact), 2), np.float32)
    points[:, : len(spread)] = (left * spread)[:, :2]
    return points, "PCA"
