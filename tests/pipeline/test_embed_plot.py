import numpy as np
import pytest

from facetool.errors import FacetoolError
from facetool.pipeline.embed_plot import embed_plot


def test_embed_plot(three_people, tmp_path):
    assert embed_plot(three_people, tmp_path / "map.png") == 12
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"


def test_too_few_images(three_people, tmp_path):
    np.save(three_people / "reps.npy", np.eye(3, dtype=np.float32))
    (three_people / "labels.csv").write_text("1,A/1.png\n2,B/1.png\n3,C/1.png\n")
    with pytest.raises(FacetoolError, match="a map needs four"):
        embed_plot(three_people, tmp_path / "map.png")
