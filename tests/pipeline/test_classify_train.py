import json

import numpy as np
import pytest

from facetool.classification.classifier_file import load_classifier
from facetool.classification.fit import FITTERS
from facetool.errors import UsageError
from facetool.pipeline.classify_train import ClassifierSettings, find_kind, train_classifier
from tests.pipeline.people_reps import write_people


@pytest.fixture
def trained(tmp_path):
    reps = write_people(tmp_path / "train", range(12), range(5))
    return train_classifier(reps, tmp_path / "classifier", ClassifierSettings()).as_dict()


def test_train(trained, tmp_path):
    assert trained["people"] == 12 and trained["images"] == 60
    assert trained["accuracy"]["accuracy"] == 1.0 and trained["warnings"] == []
    made = load_classifier(tmp_path / "classifier")
    assert made.people == tuple(f"P{k:03d}" for k in range(12))
    assert made.provenance.sha256 == "ab" * 32
    json.dumps(trained, allow_nan=False)


def test_only_a_classifier_is_replaced(trained, tmp_path):
    reps, photo = tmp_path / "train", tmp_path / "holiday.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    with pytest.raises(UsageError, match=r"holiday.jpg is there and is no classifier"):
        train_classifier(reps, photo, ClassifierSettings())
    assert photo.read_bytes()[6:] == b"JFIF"
    train_classifier(reps, tmp_path / "classifier", ClassifierSettings())


def test_train_says_what_is_missing(tmp_path):
    reps = write_people(tmp_path / "few", range(3), range(1), None)
    warnings = " ".join(
        train_classifier(reps, tmp_path / "c", ClassifierSettings(kind="nearest-mean")).warnings
    )
    assert "no represent.json" in warnings and "nobody has two images" in warnings
    assert "with 3 people no rejection threshold" in warnings
    dlib = {"network": "dlib-resnet", "weights": {"name": "dlib-resnet.v1", "sha256": "00"}}
    reps = write_people(tmp_path / "dlib", range(3), range(2), {**dlib, "unit_length": True})
    result = train_classifier(reps, tmp_path / "c", ClassifierSettings()).as_dict()
    assert result["threshold"]["source"] == "network"
    assert result["threshold"]["cosine"] == pytest.approx(1 - 0.36 / 2)
    assert "published one is used" in result["warnings"][0]


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("kind", FITTERS)
def test_what_is_written_of_equal_embeddings_can_be_read(kind, images, tmp_path):
    reps = write_people(tmp_path / "reps", range(2), range(images))
    np.save(reps / "reps.npy", np.full((2 * images, 32), 32**-0.5, np.float32))
    train_classifier(reps, tmp_path / "c", ClassifierSettings(kind=kind))
    assert load_classifier(tmp_path / "c").kind == kind


def test_openfaces_names_are_known():
    names = ["LinearSvm", "GridSearchSvm", "GMM", "RadialSvm", "DecisionTree", "GaussianNB"]
    assert [find_kind(name) for name in names] == [
        "linear-svm",
        "grid-search-svm",
        "gmm",
        "radial-svm",
        "decision-tree",
        "gaussian-nb",
    ]
    with pytest.raises(UsageError, match="nearest-mean"):
        find_kind("DBN")


def test_a_share_that_nobody_can_measure_is_said(tmp_path):
    reps = write_people(tmp_path / "train", range(6), range(3))
    said = train_classifier(reps, tmp_path / "c", ClassifierSettings(fpir=1e-300)).warnings
    assert any("a share of 1e-300 is less than these people can measure" in one for one in said)
