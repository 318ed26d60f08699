import csv
import json

import numpy as np
import pytest

from facetool.errors import UsageError
from facetool.pipeline.cluster import cluster


def test_cluster(three_people, tmp_path):
    result = cluster(three_people, table=tmp_path / "groups.csv", links=tmp_path / "links")
    assert np.bincount(result.groups).tolist() == [5, 4, 3]
    metrics = result.as_dict()
    same, together = 3 * 6, 10 + 6 + 3
    right = 6 + 6 + 3
    assert metrics["pair_precision"] == pytest.approx(right / together)
    assert metrics["pair_recall"] == pytest.approx(right / same)
    with (tmp_path / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["1"] * 5 + ["2"] * 4 + ["3"] * 3
    assert [row["image"] for row in rows[:5]] == ["B/3.png", *(f"C/{k}.png" for k in range(4))]
    first = tmp_path / "links" / "1"
    assert {link.read_text() for link in first.iterdir()} == {row["image"] for row in rows[:5]}
    assert all(link.is_symlink() for link in first.iterdir())
    with pytest.raises(UsageError, match="not empty"):
        cluster(three_people, links=tmp_path / "links")


def test_what_cannot_be(three_people, tmp_path):
    (three_people / "represent.json").write_text(json.dumps({"network": "x", "input": "/nowhere"}))
    with pytest.raises(UsageError, match="give one with threshold"):
        cluster(three_people)
    with pytest.raises(UsageError, match="crops are not in"):
        cluster(three_people, 0.5, links=tmp_path / "links")
