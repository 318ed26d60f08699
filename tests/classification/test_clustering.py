from itertools import combinations

import numpy as np
import pytest

from facetool.classification import clustering
from facetool.classification.neighbours import neighbour_graph
from facetool.errors import UsageError


def test_clusters_are_the_people_largest_first(draw):
    vectors, labels = draw(8, 6, scatter=0.2)
    order = np.random.default_rng(0).permutation(len(labels))[5:]
    found = clustering.group_faces(vectors[order], 1.0)
    sizes = np.bincount(found)
    assert len(sizes) == 8 and (np.diff(sizes) <= 0).all()
    assert clustering.pair_metrics(found, labels[order]) == clustering.PairMetrics(1.0, 1.0)
    assert (clustering.group_faces(vectors[:1], 1.0) == [0]).all()
    assert len(set(clustering.group_faces(vectors, 1e-6))) == len(vectors)


@pytest.mark.parametrize("length", [1e-38, 1e-20, 1e-9, 1e9, 1e20, 1e37])
def test_embeddings_of_any_length(draw, length):
    """As of a network whose embeddings are not scaled."""
    vectors, _ = draw(8, 6, scatter=0.2)
    expected = clustering.group_faces(vectors, 1.0)
    long = (length * vectors).astype(np.float32).astype(np.float64)
    assert (clustering.group_faces(long, length**2) == expected).all()
    with pytest.raises(UsageError) as few:
        neighbour_graph(vectors, 1.0, pairs=50)
    with pytest.raises(UsageError) as found:
        neighbour_graph(long, length, pairs=50)
    about = few.value.args[0].partition(" pairs")[0]
    assert found.value.args[0].partition(" pairs")[0] == about


def test_pair_metrics_by_hand():
    truth, found = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 2])
    pairs = list(combinations(range(6), 2))
    same = {p for p in pairs if truth[p[0]] == truth[p[1]]}
    together = {p for p in pairs if found[p[0]] == found[p[1]]}
    metrics = clustering.pair_metrics(found, truth)
    assert metrics.precision == pytest.approx(len(same & together) / len(together))
    assert metrics.recall == pytest.approx(len(same & together) / len(same))
    alone = clustering.pair_metrics(np.arange(3), np.arange(3))
    assert alone.precision is None and alone.recall is None
