"""Grouping faces without a classifier, and how well the groups agree with names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facetool.classification.algorithms import Floats
from facetool.classification.fit import Labels


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
    linkage = AgglomerativeClustering(
        n_clusters=None, distance_threshold=float(np.sqrt(squared_l2)), linkage="average"
    )
    found = linkage.fit_predict(vectors)
    first = np.unique(found, return_index=True)[1]
    order = np.lexsort((first, -np.bincount(found)))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return np.asarray(number[found])


@dataclass(frozen=True)
class PairMetrics:
    """How well groups agree with names.

    Attributes:
        precision: share of the pairs put into one group that show one person.
        recall: share of the pairs that show one person that were put into one group.
    """

    precision: float | None
    recall: float | None


def pair_metrics(groups: Labels, labels: Labels) -> PairMetrics:
    """Precision and recall over all pairs of images; None where there is no such pair."""
    from sklearn.metrics.cluster import pair_confusion_matrix

    (_, apart), (split, together) = pair_confusion_matrix(labels, groups).tolist()
    grouped, same = together + apart, together + split
    return PairMetrics(together / grouped if grouped else None, together / same if same else None)
