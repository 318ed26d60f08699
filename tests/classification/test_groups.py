from itertools import combinations

import numpy as np
import pytest

from facetool.classification import groups


def test_distance_to_rest_is_the_mean_over_pairs(draw):
    vectors, labels = draw(3, 4)
    labels[0] = 3  # alone
    found = groups.distance_to_rest(vectors, labels)
    assert np.isnan(found[0])
    for row in range(1, 12):
        rest = [k for k in range(12) if labels[k] == labels[row] and k != row]
        expected = np.mean([np.square(vectors[row] - vectors[k]).sum() for k in rest])
        assert found[row] == pytest.approx(expected)


def test_clusters_are_the_people_largest_first(draw):
    vectors, labels = draw(8, 6, scatter=0.2)
    order = np.random.default_rng(0).permutation(len(labels))[5:]
    found = groups.cluster(vectors[order], 1.0)
    sizes = np.bincount(found)
    assert len(sizes) == 8 and (np.diff(sizes) <= 0).all()
    assert groups.pair_figures(found, labels[order]) == groups.PairFigures(1.0, 1.0)
    assert (groups.cluster(vectors[:1], 1.0) == [0]).all()
    assert len(set(groups.cluster(vectors, 1e-6))) == len(vectors)


def test_pair_figures_by_hand():
    truth, found = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 2])
    pairs = list(combinations(range(6), 2))
    same = {p for p in pairs if truth[p[0]] == truth[p[1]]}
    together = {p for p in pairs if found[p[0]] == found[p[1]]}
    figures = groups.pair_figures(found, truth)
    assert figures.precision == pytest.approx(len(same & together) / len(together))
    assert figures.recall == pytest.approx(len(same & together) / len(same))
    alone = groups.pair_figures(np.arange(3), np.arange(3))
    assert alone.precision is None and alone.recall is None


def test_the_map_is_the_same_every_time(draw):
    vectors, _ = draw(3, 4)
    first = groups.embed_in_plane(vectors)
    assert first.shape == (12, 2)
    np.testing.assert_array_equal(first, groups.embed_in_plane(vectors))
