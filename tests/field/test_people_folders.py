"""Folders of people as they are: unsorted, of one person, of strangers."""

import json
from pathlib import Path

import numpy as np
import pytest

from facetool.classification.classifier_file import load_classifier
from facetool.errors import FacetoolError, UsageError
from facetool.jobs.progress import Progress, follow
from facetool.pipeline.classify_evaluate import evaluate_classifier
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.cluster import cluster
from facetool.pipeline.embed_plot import embed_plot
from facetool.pipeline.identify import identify
from facetool.pipeline.outliers import outliers

PROVENANCE = {
    "network": "dlib-resnet",
    "weights": {"name": "dlib-resnet.v1", "sha256": "ab" * 32},
    "flip": "none",
    "unit_length": False,
}


def write(folder: Path, people: dict[str, int], provenance: object = PROVENANCE) -> Path:
    """A represent folder of people, ``""`` for no folder, and their numbers of images."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows, names = [], []
    for person, images in people.items():
        centre = rng.normal(size=32)
        for image in range(images):
            row = centre + 0.2 * rng.normal(size=32)
            rows.append(row / np.linalg.norm(row))
            names.append(f"{person}/{image}.png".lstrip("/"))
    np.save(folder / "reps.npy", np.array(rows, np.float32))
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    (folder / "represent.json").write_text(json.dumps(provenance))
    return folder


def test_unsorted_photos_are_grouped_drawn_and_searched_for_outliers(tmp_path: Path) -> None:
    reps = write(tmp_path / "reps", {"": 6})
    found = cluster(reps, 0.5, tmp_path / "groups.csv")
    assert found.metrics is None
    assert found.groups.tolist() == [0] * 6
    assert (tmp_path / "groups.csv").read_text().startswith("group,image\n1,0.png\n")
    assert embed_plot(reps, tmp_path / "map.png") == 6
    unlike = outliers(reps, 0.01)
    assert unlike.compared == 6
    assert {row.person for row in unlike.outliers} == {""}


def test_a_mixed_folder_has_no_metrics(tmp_path: Path) -> None:
    reps = write(tmp_path / "reps", {"": 3, "Ann": 3, "Bob": 3})
    assert cluster(reps, 0.5).metrics is None
    assert embed_plot(reps, tmp_path / "map.png") == 9


@pytest.mark.parametrize("size", [1, 2])
def test_a_map_of_one_dimension_or_of_nothing_but_one_point(tmp_path: Path, size: int) -> None:
    reps = write(tmp_path / "reps", {"Ann": 6})
    np.save(reps / "reps.npy", np.arange(6 * size, dtype=np.float32).reshape(6, size) + 1)
    (reps / "represent.json").write_text(json.dumps({**PROVENANCE, "unit_length": False}))
    assert embed_plot(reps, tmp_path / "map.png") == 6
    np.save(reps / "reps.npy", np.ones((6, size), np.float32))
    with pytest.raises(FacetoolError, match="all the same"):
        embed_plot(reps, tmp_path / "map.png")


def test_strangers_in_a_folder_called_unknown_are_no_person(tmp_path: Path) -> None:
    reps = write(tmp_path / "reps", {"Ann": 4, "Bob": 4, "unknown": 4})
    result = train_classifier(reps, tmp_path / "classifier", ClassifierSettings())
    assert load_classifier(tmp_path / "classifier").people == ("Ann", "Bob")
    assert any(
        "4 images of the folder unknown, which holds strangers" in w for w in result.warnings
    )
    measured = evaluate_classifier(
        reps, classifier=tmp_path / "classifier", output=tmp_path
    ).as_dict()
    assert measured["strangers"]["images"] == 4
    with pytest.raises(UsageError, match="no person but"):
        train_classifier(
            write(tmp_path / "none", {"Unknown": 4}), tmp_path / "other", ClassifierSettings()
        )


def test_one_person_is_found_by_the_networks_threshold(tmp_path: Path) -> None:
    reps = write(tmp_path / "reps", {"Ann": 4})
    result = train_classifier(reps, tmp_path / "classifier", ClassifierSettings())
    assert result.classifier.kind == "nearest-mean"
    assert result.classifier.threshold.source == "network"
    assert any("cannot be measured" in warning for warning in result.warnings)
    made = load_classifier(tmp_path / "classifier")
    ann = np.load(reps / "reps.npy")
    assert made.names(made.answer(np.concatenate([ann, -ann]))) == ["Ann"] * 4 + ["unknown"] * 4
    unnamed = {**PROVENANCE, "weights": {"name": "", "sha256": ""}}
    bare = write(tmp_path / "bare", {"Ann": 4}, unnamed)
    with pytest.raises(UsageError, match="add folders of other people"):
        train_classifier(bare, tmp_path / "other", ClassifierSettings())


def test_the_threshold_for_one_person_is_calibrated_on_strangers(tmp_path: Path) -> None:
    """Where none is published for the network, too; who is known is no stranger."""
    unnamed = {**PROVENANCE, "weights": {"name": "", "sha256": ""}}
    reps = write(tmp_path / "reps", {"Ann": 4}, unnamed)
    people = dict.fromkeys(("Ann", "Bob", "Cem", "Dan", "Eve", "Fay", "Gus"), 3)
    strangers = write(tmp_path / "strangers", people, unnamed)
    said = json.loads((strangers / "represent.json").read_text())
    said["missed_faces"] = ["Gus/0.png", "Gus/1.png"]
    (strangers / "represent.json").write_text(json.dumps(said))
    result = train_classifier(
        reps, tmp_path / "classifier", ClassifierSettings(), strangers=strangers
    )
    assert result.warnings[:2] == [
        "left out of the strangers: 3 images of 1 known person (Ann)",
        "left out of the strangers: 2 images whose face was not found",
    ]
    made = result.classifier
    assert (made.threshold.source, made.threshold.people) == ("held-out identities", 6)
    ann, others = np.load(reps / "reps.npy"), np.load(strangers / "reps.npy")[3:]
    assert set(made.names(made.answer(ann))) == {"Ann"}
    assert set(made.names(made.answer(others))) == {"unknown"}
    few = write(tmp_path / "few", {"Ann": 3, "Bob": 3, "Cem": 3}, unnamed)
    why = "takes 5 strangers or more, here are 2; left out of the strangers: 3 images of 1 known"
    with pytest.raises(UsageError, match=why):
        train_classifier(reps, tmp_path / "other", ClassifierSettings(), strangers=few)
    with pytest.raises(UsageError, match="everybody in it is known"):
        train_classifier(reps, tmp_path / "other", ClassifierSettings(), strangers=reps)


def test_a_list_of_noise_that_names_nothing_here_is_said(tmp_path: Path) -> None:
    reps = write(tmp_path / "reps", {"Ann": 4, "Bob": 4})
    remarks = []

    class Listener(Progress):
        def remark(self, name: str, text: str) -> None:
            remarks.append(text)

    (tmp_path / "noise.txt").write_text("Carl/0.png\n")
    with follow(Listener()):
        identify(reps, reps, remove=[tmp_path / "noise.txt"])
    assert "lists 1 image, none of which is here" in remarks[0]
    remarks.clear()
    (tmp_path / "noise.txt").write_text("Ann/0.png\n")
    with follow(Listener()):
        identify(reps, reps, remove=[tmp_path / "noise.txt"])
    assert not remarks
