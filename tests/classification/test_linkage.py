"""Average linkage in the memory of close pairs, against scikit-learn's with all of them."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from facetool.classification import neighbours
from facetool.classification.clustering import group_faces
from facetool.errors import UsageError
from facetool.evaluation import products
from facetool.files.embeddings import read_embeddings


def reference(vectors, squared_l2):
    """Groups numbered by their first row."""
    found = AgglomerativeClustering(
        n_clusters=None, distance_threshold=float(np.sqrt(squared_l2)), linkage="average"
    ).fit_predict(vectors)
    return first_rows(found)


def first_rows(groups):
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    return first[numbers]


def quantile(vectors, share):
    """The squared distance below which that share of all pairs lies, a little above a pair's."""
    squares = np.square(vectors[:, None] - vectors).sum(axis=-1)
    return float(np.quantile(squares, share)) * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_same_groups_as_with_all_distances(seed):
    rng = np.random.default_rng(seed)
    count, size = rng.integers(2, 90), rng.integers(2, 24)
    vectors = rng.normal(size=(count, size))
    if seed % 3 == 1:  # people
        people = rng.normal(size=(count // 5 + 1, size))
        vectors = np.repeat(people, 5, axis=0) + 0.4 * rng.normal(size=(len(people) * 5, size))
    if seed % 3 == 2:  # the same photo several times
        vectors = vectors[rng.integers(0, count, count)]
    threshold = quantile(vectors, rng.uniform(0.01, 0.6)) or 0.1
    groups = group_faces(vectors, threshold)
    assert (first_rows(groups) == reference(vectors, threshold)).all()
    sizes = np.bincount(groups)
    assert (np.diff(sizes) <= 0).all()


def test_blocks_do_not_matter(monkeypatch):
    vectors = np.random.default_rng(1).normal(size=(100, 4))
    whole = group_faces(vectors, 1.5)
    monkeypatch.setitem(products.BLOCK, "cpu", (7, 13))
    monkeypatch.setattr(neighbours, "_DIFFERENCES", 8)
    monkeypatch.setattr("facetool.classification.linkage._MEASURED", 5)
    assert (group_faces(vectors, 1.5) == whole).all()


def test_no_more_memory_is_taken_than_said(monkeypatch):
    vectors = np.random.default_rng(2).normal(size=(400, 4))
    graph = neighbours.neighbour_graph(vectors, 1.0)
    pairs = graph.nnz // 2
    assert (neighbours.neighbour_graph(vectors, 1.0, pairs * 2) != graph).nnz == 0
    with pytest.raises(UsageError, match=r"about [\d,]+ pairs of 400 faces") as caught:
        neighbours.neighbour_graph(vectors, 1.0, pairs // 3)
    (setting,) = caught.value.settings
    lower = float(setting.removeprefix("threshold="))
    assert neighbours.neighbour_graph(vectors, lower**0.5, pairs // 3).nnz // 2 <= pairs // 3
    monkeypatch.setattr(neighbours._PairSearch, "_histogram", lambda self: (np.zeros(1), None))
    with pytest.raises(UsageError, match="lower threshold"):  # a sample that was wrong
        neighbours.neighbour_graph(vectors, 1.0, pairs // 3)


def test_tied_distances_give_groups_that_average_linkage_could_end_with():
    """Which ones depends on the order of rows in any implementation, scikit-learn's included."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        vectors = np.unique(rng.integers(0, 4, (40, 3)), axis=0).astype(float)
        groups = group_faces(vectors, 2.0)
        members = [vectors[groups == group] for group in range(groups.max() + 1)]
        for number, own in enumerate(members):
            for other in members[:number]:
                apart = np.linalg.norm(own[:, None] - other, axis=-1).mean()
                assert apart >= np.sqrt(2) - 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_photos_that_are_there_twice_change_nothing(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(30, 8))[rng.integers(0, 30, 90)]
    groups = group_faces(vectors, 9.0)
    assert 1 < groups.max() < 29
    assert (first_rows(groups) == reference(vectors, 9.0)).all()


def test_given_groups_stay_and_grow_but_never_meet():
    near = [[0.0, 0], [0.1, 0], [0.3, 0], [0.4, 0], [0.15, 0], [5, 5], [5.1, 5], [0.45, 0]]
    vectors = np.array(near)
    given = np.array([0, -1, -1, 1, -1, -1, -1, 1])
    groups = group_faces(vectors, 0.25, given)
    assert groups[0] == groups[1] == groups[4] != groups[3]
    assert groups[2] == groups[3] == groups[7]
    assert groups[5] == groups[6]
    far = group_faces(vectors, 0.01, np.array([0, -1, -1, -1, -1, 0, -1, -1]))
    assert far[0] == far[5]  # however far apart


@pytest.mark.slow
def test_lfw_a(shared):
    """1,000 genuine embeddings of OpenFace's network, of unit length in float32."""
    vectors = read_embeddings(shared / "openface-reps").vectors.astype(np.float64)
    for threshold in (0.3, 0.6, 0.99):
        groups = group_faces(vectors, threshold)
        assert (first_rows(groups) == reference(vectors, threshold)).all()
