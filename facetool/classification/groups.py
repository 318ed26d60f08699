"""Looking at embeddings without a classifier: outliers, groups, and a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetool.classification.algorithms import Floats
from facetool.classification.fit import Labels, class_means


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


def cluster(vectors: Floats, squared_l2: float) -> Labels:
    """Group faces so that those of a group are, on average, less than a distance apart.

    Average linkage (scikit-learn's ``AgglomerativeClustering``); it holds all pairs of N faces
    in memory, 4 N² bytes.

    Args:
        vectors: (N, D).
        squared_l2: where "same person" ends.

    Returns:
        (N,) group numbers from 0, the largest group first.
    """
    from sklearn.cluster import AgglomerativeClustering

    if len(vectors) < 2:
        return np.zeros(len(vectors), np.int64)
    machine = AgglomerativeClustering(
        n_clusters=None, distance_threshold=float(np.sqrt(squared_l2)), linkage="average"
    )
    found = machine.fit_predict(vectors)
    first = np.unique(found, return_index=True)[1]
    order = np.lexsort((first, -np.bincount(found)))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return np.asarray(number[found])


@dataclass(frozen=True)
class PairFigures:
    """How well groups agree with names.

    Attributes:
        precision: share of the pairs put into one group that show one person.
        recall: share of the pairs that show one person that were put into one group.
    """

    precision: float | None
    recall: float | None


def pair_figures(groups: Labels, labels: Labels) -> PairFigures:
    """Precision and recall over all pairs of images; None where there is no such pair."""
    from sklearn.metrics.cluster import pair_confusion_matrix

    (_, apart), (split, together) = pair_confusion_matrix(labels, groups).tolist()
    grouped, same = together + apart, together + split
    return PairFigures(together / grouped if grouped else None, together / same if same else None)


def embed_in_plane(vectors: Floats) -> NDArray[np.float32]:
    """t-SNE: (N, D) to (N, 2), the same picture every time. Needs four images or more."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=0)
    return np.asarray(tsne.fit_transform(vectors.astype(np.float32)), np.float32)
