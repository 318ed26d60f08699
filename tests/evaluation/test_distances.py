import numpy as np
from scipy.spatial import distance

from facetool.evaluation.distances import arccos_distance, normalize, squared_l2

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 20, 7))


def test_against_scipy() -> None:
    expected = [distance.sqeuclidean(a, b) for a, b in zip(A, B, strict=True)]
    np.testing.assert_allclose(squared_l2(A, B), expected, rtol=1e-14)
    cosines = [1 - distance.cosine(a, b) for a, b in zip(A, B, strict=True)]
    np.testing.assert_allclose(arccos_distance(A, B), np.arccos(cosines) / np.pi, rtol=1e-12)


def test_float32_is_computed_in_float64() -> None:
    a, b = A.astype(np.float32), B.astype(np.float32)
    np.testing.assert_array_equal(squared_l2(a, b), squared_l2(a.astype(float), b.astype(float)))


def test_extremes() -> None:
    one = np.full((1, 3), 0.1)  # its cosine with itself rounds to more than 1
    np.testing.assert_allclose(
        arccos_distance(np.vstack([one, one]), np.vstack([one, -one])), [0, 1]
    )
    assert arccos_distance(np.zeros((1, 3)), one) == 0.5
    np.testing.assert_array_equal(normalize(np.zeros((1, 3))), np.zeros((1, 3)))
