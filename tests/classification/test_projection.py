import numpy as np

from facetool.classification.projection import project


def test_the_map_is_the_same_every_time(draw):
    vectors, _ = draw(3, 4)
    first = project(vectors)
    assert first.shape == (12, 2)
    np.testing.assert_array_equal(first, project(vectors))
