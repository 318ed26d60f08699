import numpy as np
import pytest

from facetool.classification.outliers import distance_to_rest


def test_distance_to_rest_is_the_mean_over_pairs(draw):
    vectors, labels = draw(3, 4)
    labels[0] = 3  # alone
    found = distance_to_rest(vectors, labels)
    assert np.isnan(found[0])
    for row in range(1, 12):
        rest = [k for k in range(12) if labels[k] == labels[row] and k != row]
        expected = np.mean([np.square(vectors[row] - vectors[k]).sum() for k in rest])
        assert found[row] == pytest.approx(expected)
