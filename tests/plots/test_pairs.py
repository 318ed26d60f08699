from pathlib import Path

import numpy as np

from facetool.images.read import read_image
from facetool.plots.pairs import PairGroup, PlottedPair, pairs_figure
from facetool.plots.style import save_plot


def test_groups_below_each_other(tmp_path: Path) -> None:
    image = np.full((50, 104, 3), 90, np.uint8)
    pairs = [PlottedPair(image, f"{number} $x$") for number in range(5)]
    groups = [
        PairGroup("Right", False, pairs),
        PairGroup("None of these", True, []),
        PairGroup("Wrong", True, [PlottedPair(None, "gone")]),
    ]
    figure = pairs_figure(groups)
    titles = [text.get_text() for part in figure.subfigs for text in part.texts]
    assert titles == ["Right", "None of these", "Wrong"]
    drawn = [[axes for axes in part.axes if axes.axison] for part in figure.subfigs]
    assert [len(axes) for axes in drawn] == [5, 0, 1]
    assert [axes.get_xlabel() for axes in drawn[0]] == [rf"{number} \$x\$" for number in range(5)]
    assert len(drawn[0][0].images) == 1 and not drawn[2][0].images
    frames = [axes.spines["left"].get_edgecolor() for axes in (drawn[0][0], drawn[2][0])]
    assert frames[0] != frames[1]
    save_plot(figure, tmp_path / "pairs.png", dpi=50)
    assert read_image(tmp_path / "pairs.png").shape[1] == 350
