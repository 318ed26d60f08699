import numpy as np
import pytest

from facetool.classification.metrics import confusion_figure, dir_at_fpir


def test_dir_at_fpir_by_hand():
    likeness = np.array([0.9, 0.8, 0.7, 0.2])
    right = np.array([True, False, True, True])
    strangers = np.arange(10) / 10  # 0 … 0.9
    at = dir_at_fpir(likeness, right, strangers, 0.2)
    # Two of ten may be named: 0.9 and 0.8, so the threshold lies just above 0.7.
    assert at["strangers_named"] == 2 and at["threshold"] > 0.7 and at["measurable"]
    assert at["dir"] == 0.25
    assert dir_at_fpir(likeness, right, strangers, 1.0)["dir"] == 0.75
    few = dir_at_fpir(likeness, right, strangers, 0.01)
    assert few["strangers_named"] == 0 and not few["measurable"]


def test_ties_are_not_named():
    at = dir_at_fpir(np.array([0.6]), np.array([True]), np.full(100, 0.5), 0.5)
    assert at["strangers_named"] == 0 and at["dir"] == 1


def test_confusion_figure():
    figure = confusion_figure(["A", "A", "B"], ["A", "unknown", "A"], ["A", "B", "unknown"])
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, [[0.5, 0, 0.5], [1, 0, 0], [0, 0, 0]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "1", "1"]
    assert figure.axes[0].get_xlabel() == "answer"
    assert pytest.approx(figure.get_size_inches()[1]) == 2.5 + 0.28 * 3
