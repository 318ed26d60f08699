import numpy as np

from facetool.classification.metrics import dir_at_fpir


def test_dir_at_fpir_by_hand():
    similarity = np.array([0.9, 0.8, 0.7, 0.2])
    right = np.array([True, False, True, True])
    strangers = np.arange(10) / 10  # 0 … 0.9
    at = dir_at_fpir(similarity, right, strangers, 0.2)
    # Two of ten may be named: 0.9 and 0.8, so the threshold lies just above 0.7.
    assert at["strangers_named"] == 2 and at["threshold"] > 0.7 and at["measurable"]
    assert at["dir"] == 0.25
    assert dir_at_fpir(similarity, right, strangers, 1.0)["dir"] == 0.75
    few = dir_at_fpir(similarity, right, strangers, 0.01)
    assert few["strangers_named"] == 0 and not few["measurable"]


def test_ties_are_not_named():
    at = dir_at_fpir(np.array([0.6]), np.array([True]), np.full(100, 0.5), 0.5)
    assert at["strangers_named"] == 0 and at["dir"] == 1
