"""Values that no setting of the library can have: refused at once, in one line that names it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facetool
from facetool.errors import UsageError

SETTINGS: list[tuple[Callable[..., Any], str, list[Any]]] = [
    (facetool.RepresentSettings, "batch_size", [0, -1, math.nan]),
    (facetool.RepresentSettings, "dtype", ["float8"]),
    (facetool.RepresentSettings, "flip", ["up"]),
    (facetool.RepresentSettings, "engine", ["caffe"]),
    (facetool.SearchSettings, "top", [0, -3]),
    (facetool.SearchSettings, "threshold", [-1, math.nan, math.inf]),
    (facetool.SearchSettings, "select", ["all", "best"]),
    (facetool.SearchSettings, "engine", ["caffe"]),
    (facetool.ClassifierSettings, "kind", ["foo"]),
    (facetool.ClassifierSettings, "fpir", [-0.1, 5, math.nan]),
    (facetool.AlignSettings, "select", ["best"]),
]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [(make, name, value) for make, name, values in SETTINGS for value in values],
)
def test_a_setting_that_cannot_be_is_named(
    make: Callable[..., Any], name: str, value: object
) -> None:
    crop = {"crop": facetool.load_network("dlib-resnet").recipe.crop}
    with pytest.raises(UsageError, match=f"^{name}={value!r}: give "):
        make(**{**(crop if make is facetool.AlignSettings else {}), name: value})


@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_so_is_a_threshold(value: float, tmp_path: Path) -> None:
    np.save(tmp_path / "reps.npy", np.eye(4, dtype=np.float32))
    (tmp_path / "labels.csv").write_text("1,a/1.png\n1,a/2.png\n2,b/1.png\n2,b/2.png\n")
    for function in (facetool.cluster, facetool.outliers, facetool.find_duplicates):
        with pytest.raises(UsageError, match=r"^threshold="):
            function(tmp_path, threshold=value)
    network = facetool.load_network("dlib-resnet")
    with pytest.raises(UsageError, match=r"^threshold="):
        facetool.compare([tmp_path / "a.jpg"] * 2, network, threshold=value)
