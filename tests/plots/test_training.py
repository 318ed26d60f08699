import numpy as np

from facetool.plots.training import training_figure
from facetool.training.log import LogRow


def _row(step, **verification):
    return LogRow(step, step / 10, 1.5, 0.25, 16, 0.1, 3.0, 40.0, 0, verification)


def test_the_plot_shows_all_curves():
    figure = training_figure([_row(10), _row(20, lfw=0.75), _row(30, lfw=0.8)], "net, loss")
    loss, rate, accuracy = figure.axes
    assert np.asarray(loss.lines[0].get_ydata()).tolist() == [1.5] * 3
    assert np.asarray(rate.lines[0].get_ydata()).tolist() == [0.1] * 3
    assert np.asarray(accuracy.lines[1].get_ydata()).tolist() == [0.75, 0.8]
