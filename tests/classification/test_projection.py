import numpy as np
import pytest

from facetool.classification.projection import plane, project


def test_the_map_is_the_same_every_time(draw):
    vectors, _ = draw(3, 4)
    first = project(vectors)
    assert first.shape == (12, 2)
    np.testing.assert_array_equal(first, project(vectors))


def test_embeddings_of_one_number_stay_on_their_line():
    vectors = np.linspace(0, 1, 30)[:, None]
    line = np.hstack([vectors, np.zeros((30, 1))])
    np.testing.assert_allclose(project(vectors), line, atol=1e-7)
    points, how = plane(vectors)
    assert how == "PCA"
    np.testing.assert_allclose(np.abs(points), np.abs(line - line.mean(axis=0)), atol=1e-6)


@pytest.mark.parametrize("count", [2, 11, 12, 40])
def test_equal_embeddings_are_one_point(count):
    points, how = plane(np.tile([0.6, 0.8, 0.0], (count, 1)))
    assert how == "PCA"
    np.testing.assert_allclose(points, np.zeros((count, 2)), atol=1e-6)


def test_few_embeddings_keep_their_distances_in_a_plane():
    flat = np.random.default_rng(0).normal(size=(11, 2))
    points, how = plane(flat @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 2)))[0].T)
    assert how == "PCA"
    for first in range(11):
        expected = np.linalg.norm(flat - flat[first], axis=1)
        found = np.linalg.norm(points - points[first], axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
