import io

import numpy as np
import pytest

from facetool.evaluation.roc import Curve
from facetool.plots.roc import roc_figure, save

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
    human = next(line for line in linear.get_lines() if line.get_label().startswith("Human"))
    assert (human.get_xdata().min(), human.get_xdata().max()) == (0.01, 0.4)
    assert logarithmic.get_ylim()[0] == pytest.approx(0.3)


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_equal_figures_make_equal_files(kind: str, magic: bytes) -> None:
    files = []
    for _ in range(2):
        file = io.BytesIO()
        save(roc_figure(MEAN, [MEAN], "nn4"), file, kind)
        files.append(file.getvalue())
    assert files[0].startswith(magic) and files[0] == files[1]
