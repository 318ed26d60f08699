"""Files of the user's in the place of a result are not written over."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.errors import UsageError
from facetool.pipeline.embed_plot import embed_plot


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photo.png", "paper.pdf"])
def test_a_plot_replaces_a_plot_and_nothing_else(name: str, tmp_path: Path) -> None:
    reps = tmp_path / "reps"
    reps.mkdir()
    np.save(reps / "reps.npy", np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32))
    (reps / "labels.csv").write_text("".join(f"1,A/{image}.png\n" for image in range(6)))
    (reps / "represent.json").write_text(json.dumps({"network": "n"}))
    other = tmp_path / name
    if other.suffix == ".png":
        Image.new("RGB", (9, 9)).save(other)
    else:
        other.write_bytes(b"%PDF-1.4 of somebody else's")
    before = other.read_bytes()
    with pytest.raises(UsageError, match="is there and is no plot"):
        embed_plot(reps, other)
    assert other.read_bytes() == before
    plot = tmp_path / f"plot{other.suffix}"
    for _ in range(2):
        assert embed_plot(reps, plot) == 6
