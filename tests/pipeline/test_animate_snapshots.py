from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from facetool.pipeline import animate_snapshots
from facetool.plots.snapshots import draw_snapshots
from facetool.training.data import TrainingSet
from facetool.training.snapshots import Snapshots
from tests.drawn_people import draw_people

Points = NDArray[np.float32]


@pytest.mark.parametrize("mirror", [1, -1])
def test_plots_are_turned_to_each_other(mirror: int) -> None:
    points = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    points -= points.mean(axis=0)
    turned = points @ np.array([[0, 1], [-mirror, 0]], np.float32)
    np.testing.assert_allclose(animate_snapshots.turn_to(turned + 3, points), points, atol=1e-5)


@pytest.mark.parametrize(("size", "shape"), [(2, "circle"), (3, "sphere"), (8, "t-SNE")])
def test_what_is_drawn_follows_from_the_dimensions(
    size: int, shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TrainingSet(draw_people(tmp_path / "people", 3, 4, size=16))
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for step in (0, 5):
        vectors = np.random.default_rng(step).normal(size=(12, size)).astype(np.float32)
        np.save(folder / f"step-{step:08}.npy", vectors)
    titles: list[str] = []

    def look(frames: list[tuple[str, Points]], *rest: Any, **more: Any) -> list[Figure]:
        titles.extend(title for title, _ in frames)
        assert all(points.shape == (12, size if size < 4 else 2) for _, points in frames)
        return draw_snapshots(frames, *rest, **more)

    monkeypatch.setattr(animate_snapshots, "draw_snapshots", look)
    path = tmp_path / "snapshots.gif"
    animate_snapshots.animate_snapshots(Snapshots(folder, data, 5, 2), 5, path)
    assert [title.split(":")[0] for title in titles] == ["step 0 of 5", "step 5 of 5"]
    assert all(shape in title for title in titles)
    with Image.open(path) as animation:
        assert animation.n_frames == 2
