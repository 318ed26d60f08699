import numpy as np
import pytest

from facetool.evaluation.roc import Curve
from facetool.plots.roc import roc_figure

MEAN = Curve(np.array([0, 0.01, 0.2, 1]), np.array([0.4, 0.7, 0.9, 1]))
OTHER = Curve(np.array([0.01, 0.4]), np.array([0.3, 0.6]))


def test_two_panels_and_a_legend_with_areas() -> None:
    figure = roc_figure(MEAN, [MEAN, MEAN], "nn4 $v1$", [("Human", OTHER)])
    linear, logarithmic = figure.axes
    assert linear.get_xscale() == "linear" and logarithmic.get_xscale() == "log"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [
        rf"nn4 \$v1\$ [AUC {MEAN.auc:.3f}]",
        "its 2 folds",
        f"Human [AUC {OTHER.auc:.3f}]",
    ]
    human = next(line for line in linear.get_lines() if str(line.get_label()).startswith("Human"))
    rates = np.asarray(human.get_xdata())
    assert (rates.min(), rates.max()) == (0.01, 0.4)
    assert logarithmic.get_ylim()[0] == pytest.approx(0.3)
