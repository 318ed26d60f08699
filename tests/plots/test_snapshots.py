from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.plots.snapshots import draw_snapshots, save_animation

NAMES = ["Ann_A", "Bob"]
LABELS = np.array([0, 0, 1, 1])


def unit(size: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    points = np.random.default_rng(seed).normal(size=(4, size)).astype(np.float32)
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


@pytest.mark.parametrize("size", [2, 3])
def test_frames(size: int, tmp_path: Path) -> None:
    frames = [(f"step {seed}", unit(size, seed)) for seed in range(3)]
    plots = draw_snapshots(frames, LABELS, NAMES, circle=size == 2)
    assert [figure.axes[0].get_title() for figure in plots] == ["step 0", "step 1", "step 2"]
    assert [text.get_text() for text in plots[0].legends[0].get_texts()] == ["Ann A", "Bob"]
    assert plots[0].axes[0].name == ("rectilinear" if size == 2 else "3d")
    if size == 2:
        # A line from the middle to each person's mean direction, on the circle.
        ends = [np.array(line.get_xydata())[1] for line in plots[0].axes[0].get_lines()]
        assert np.linalg.norm(ends, axis=1) == pytest.approx([1, 1])
        shown = np.asarray(plots[1].axes[0].collections[0].get_offsets())
        np.testing.assert_allclose(shown, frames[1][1], atol=1e-6)
    save_animation(plots, tmp_path / "frames.gif")
    with Image.open(tmp_path / "frames.gif") as animation:
        assert animation.n_frames == 3 and animation.size == (600, 480)
        durations = []
        for number in range(3):
            animation.seek(number)
            durations.append(animation.info["duration"])
        assert durations == [1500, 350, 1500]
