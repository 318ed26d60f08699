"""Grouping faces without a classifier, and how well the groups agree with names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facetool.classification.fit import Labels
from facetool.classification.linkage import average_linkage
from facetool.classification.neighbours import neighbour_graph
from facetool.evaluation.distances import Floats


def group_faces(vectors: Floats, squared_l2: float, given: Labels | None = None) -> Labels:
    """Group faces so that those of a group are, on average, less than a distance apart.

    Average linkage of the Euclidean distances, exact as scikit-learn's
    ``AgglomerativeClustering``, but only the pairs below the distance are held in memory.

    Args:
        vectors: (N, D).
        squared_l2: where "same person" ends.
        given: (N,) numbers of groups that are known, -1 for none: their faces stay together, and
            never come together with those of another.

    Returns:
        (N,) group numbers from 0, the largest group first.

    Raises:
        UsageError: the pairs below the distance do not fit into memory.
    """
    limit = float(np.sqrt(squared_l2))
    if given is None:
        given = np.full(len(vectors), -1)
    found = average_linkage(vectors, neighbour_graph(vectors, limit), limit, given)
    _, first, numbers, sizes = np.unique(
        found, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return np.asarray(number[numbers])


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
