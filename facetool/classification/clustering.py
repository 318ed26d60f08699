"""Grouping faces without a classifier, and how well the groups agree with names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facetool.classification.fit import Labels
from facetool.classification.linkage import average_linkage
from facetool.classification.neighbours import neighbour_graph
from facetool.evaluation.distances import Floats
from facetool.jobs.progress import Progress, follow


def group_faces(vectors: Floats, squared_l2: float, given: Labels | None = None) -> Labels:
    """Group faces so that those of a group are, on average, less than a distance apart.

    Average linkage of the Euclidean distances, exact as scikit-learn's
    ``AgglomerativeClustering``, but only the pairs below the distance are held in memory.

    Args:
        vectors: (N, D).
        squared_l2: where "same person" ends.
        given: (N,) numbers of groups that are known, -1 for none: their faces stay together, and
            never come together with those of another. Faces of a group that differ more than that,
            such as somebody with and without glasses, are joined by others as groups of their own.

    Returns:
        (N,) group numbers from 0, the largest group first.

    Raises:
        UsageError: the pairs below the distance do not fit into memory.
    """
    limit = float(np.sqrt(squared_l2))
    if given is None:
        given = np.full(len(vectors), -1)
    parts = _parts(vectors, limit, given)
    found = average_linkage(vectors, neighbour_graph(vectors, limit), limit, parts)
    known = given >= 0
    united = np.arange(len(vectors))
    least = np.full(given.max(initial=-1) + 1, len(vectors))
    np.minimum.at(least, given[known], found[known])
    united[found[known]] = least[given[known]]
    found = united[found]
    _, first, numbers, sizes = np.unique(
        found, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return np.asarray(number[numbers])


def _parts(vectors: Floats, limit: float, given: Labels) -> Labels:
    """Numbers of the groups that the faces of each known group form by themselves, -1 for none."""
    parts = np.full_like(given, -1)
    for number in np.unique(given[given >= 0]):
        rows = np.flatnonzero(given == number)
        own = vectors[rows]
        alone = np.full(len(rows), -1)
        with follow(Progress()):  # one bar, that of all faces, is enough
            found = average_linkage(own, neighbour_graph(own, limit), limit, alone)
        parts[rows] = np.unique(found, return_inverse=True)[1] + parts.max() + 1
    return parts


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
