import csv
import json
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FacetoolError, UsageError
from facetool.pipeline.group import cluster_folder, embed_plot, outliers

DLIB = {"network": "dlib-resnet", "weights": {"name": "dlib-resnet.v1"}, "unit_length": False}


@pytest.fixture
def reps(tmp_path: Path) -> Path:
    """Three people with four images each; one of B's is really C's. Their crops lie beside."""
    folder = tmp_path / "reps"
    folder.mkdir()
    rng = np.random.default_rng(0)
    names, rows = [], []
    for number, person in enumerate("ABC"):
        for image in range(4):
            shown = 2 if (person, image) == ("B", 3) else number
            rows.append(np.eye(3)[shown] + 0.05 * rng.normal(size=3))
            names.append(f"{person}/{image}.png")
            crop = tmp_path / "crops" / names[-1]
            crop.parent.mkdir(parents=True, exist_ok=True)
            crop.write_text(names[-1])
    np.save(folder / "reps.npy", np.array(rows, np.float32))
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    provenance = {**DLIB, "input": str(tmp_path / "crops")}
    (folder / "represent.json").write_text(json.dumps(provenance))
    return folder


def test_outliers(reps):
    found, compared, limit = outliers(reps)
    assert limit == 0.36 and compared == 12
    assert found[0].image == "B/3.png" and found[0].person == "B" and found[0].nearest == "C"
    assert found[0].squared_l2 == pytest.approx(2, abs=0.4)
    # B's other images are a third outlier each: 2/3 > 0.36.
    assert [one.image for one in found[1:]] and {one.person for one in found} == {"B"}
    assert outliers(reps, 1.5)[0] == found[:1]


def test_cluster(reps, tmp_path):
    result = cluster_folder(reps, table=tmp_path / "groups.csv", links=tmp_path / "links")
    assert np.bincount(result.groups).tolist() == [5, 4, 3]
    figures = result.as_dict()
    same, together = 3 * 6, 10 + 6 + 3
    right = 6 + 6 + 3
    assert figures["pair_precision"] == pytest.approx(right / together)
    assert figures["pair_recall"] == pytest.approx(right / same)
    with (tmp_path / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["1"] * 5 + ["2"] * 4 + ["3"] * 3
    assert [row["image"] for row in rows[:5]] == ["B/3.png", *(f"C/{k}.png" for k in range(4))]
    first = tmp_path / "links" / "1"
    assert {link.read_text() for link in first.iterdir()} == {row["image"] for row in rows[:5]}
    assert all(link.is_symlink() for link in first.iterdir())
    with pytest.raises(UsageError, match="is not empty"):
        cluster_folder(reps, links=tmp_path / "links")


def test_what_cannot_be(reps, tmp_path):
    (reps / "represent.json").write_text(json.dumps({"network": "x", "input": "/nowhere"}))
    for command in (outliers, cluster_folder):
        with pytest.raises(UsageError, match="give one with --threshold"):
            command(reps)
    with pytest.raises(UsageError, match="crops are not in"):
        cluster_folder(reps, 0.5, links=tmp_path / "links")
    np.save(reps / "reps.npy", np.eye(3, dtype=np.float32))
    (reps / "labels.csv").write_text("1,A/1.png\n2,B/1.png\n3,C/1.png\n")
    with pytest.raises(FacetoolError, match="nobody has two images"):
        outliers(reps, 0.5)
    with pytest.raises(FacetoolError, match="a map needs four"):
        embed_plot(reps, tmp_path / "map.png")


def test_embed_plot(reps, tmp_path):
    assert embed_plot(reps, tmp_path / "map.png") == 12
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
