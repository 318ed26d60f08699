from pathlib import Path

import numpy as np
import pytest

from facetool.errors import ImageError, UsageError
from facetool.evaluation.scored_pairs import ScoredPairs
from facetool.images.side_by_side import Reader
from facetool.pipeline.plot_pairs import plot_pairs
from facetool.plots.pairs import PairGroup

COUNT = 40


@pytest.fixture
def pairs() -> ScoredPairs:
    """Twenty genuine pairs at 0.0, 0.1 … and as many impostor pairs, judged by 1.05."""
    distances = np.tile(np.arange(20) / 10, 2)
    return ScoredPairs(
        first=[f"P/{number}_a.png" for number in range(COUNT)],
        second=[f"Q/{number}_b.png" for number in range(COUNT)],
        same=np.arange(COUNT) < 20,
        distances=distances,
        thresholds=np.full(COUNT, 1.05),
        similarities=1 - distances / 2,
    )


def reader(name: str) -> Reader:
    def read() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        if name == "P/20_a.png":
            raise ImageError("gone")
        return np.full((30, 30, 3), 77, np.uint8)

    return read


def test_the_worst_and_examples(
    pairs: ScoredPairs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[PairGroup] = []
    monkeypatch.setattr("facetool.pipeline.plot_pairs.pairs_figure", drawn.extend)
    monkeypatch.setattr("facetool.pipeline.plot_pairs.save_plot", lambda figure, path: None)
    plot_pairs(pairs, reader, "squared L2", tmp_path / "pairs.png")
    assert [group.title for group in drawn] == [
        "True accepts, from clear to close",
        "True rejects, from clear to close",
        "False accepts: 11, the 8 worst",
        "False rejects: 9, the 8 worst",
    ]
    assert [group.wrong for group in drawn] == [False, False, True, True]
    accepts = drawn[2].pairs
    assert len(accepts) == 8
    assert accepts[0].text == "20_a\n20_b\ncosine 1.000, squared L2 0.000 < 1.05"
    assert accepts[0].image is not None and (accepts[0].image[:, :30] == 128).all()
    assert drawn[3].pairs[0].text == "19_a\n19_b\ncosine 0.050, squared L2 1.900 ≥ 1.05"
    assert [pair.text.split("_")[0] for pair in drawn[0].pairs] == ["0", "3", "7", "10"]
    assert [pair.text.split("_")[0] for pair in drawn[1].pairs] == ["39", "36", "34", "31"]


@pytest.mark.slow
def test_what_can_be_drawn(pairs: ScoredPairs, tmp_path: Path) -> None:
    plot_pairs(pairs, reader, "squared L2", tmp_path / "pairs.pdf")
    assert (tmp_path / "pairs.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(UsageError, match=r"must end in \.png or \.pdf"):
        plot_pairs(pairs, reader, "squared L2", tmp_path / "pairs.gif")
