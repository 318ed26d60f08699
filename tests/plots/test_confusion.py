import numpy as np
import pytest

from facetool.plots.confusion import confusion_figure


def test_confusion_figure():
    figure = confusion_figure(["A", "A", "B"], ["A", "unknown", "A"], ["A", "B", "unknown"])
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shown, np.array([[0.5, 0, 0.5], [1, 0, 0], [0, 0, 0]]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "1", "1"]
    assert figure.axes[0].get_xlabel() == "answer"
    assert pytest.approx(figure.get_size_inches()[1]) == 2.5 + 0.28 * 3
