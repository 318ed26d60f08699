"""Classifiers of OpenFace's demos/classifier.py: recognised, never loaded."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from facetool.classification.classifier_file import load_classifier
from facetool.classification.openface_pickle import recognise_pickle
from facetool.cli.messages import error_text
from facetool.errors import FormatError


def made(kind: str) -> object:
    """What the script trains, by the name of its option."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import Pipeline
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    return {
        "LinearSvm": SVC(C=1, kernel="linear"),
        "RadialSvm": SVC(C=1, kernel="rbf", gamma=2),
        "GridSearchSvm": GridSearchCV(SVC(C=1), {"C": [1], "kernel": ["linear"]}, cv=2),
        "GMM": GaussianMixture(n_components=2),
        "DecisionTree": DecisionTreeClassifier(max_depth=20),
        "GaussianNB": GaussianNB(),
        "ldaDim": Pipeline(
            [("lda", LinearDiscriminantAnalysis(n_components=1)), ("clf", SVC(kernel="linear"))]
        ),
    }[kind]


def write(path: Path, classifier: object, protocol: int) -> Path:
    from sklearn.preprocessing import LabelEncoder

    labels = np.array(["Ann", "Ann", "Ann", "Bob", "Bob", "Bob"])
    encoder = LabelEncoder().fit(labels)
    vectors = np.random.default_rng(0).standard_normal((6, 4))
    classifier.fit(vectors, encoder.transform(labels))  # type: ignore[attr-defined]
    path.write_bytes(pickle.dumps((encoder, classifier), protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ("LinearSvm", "linear-svm"),
        ("RadialSvm", "radial-svm"),
        ("GridSearchSvm", "grid-search-svm"),
        ("GMM", "gmm"),
        ("DecisionTree", "decision-tree"),
        ("GaussianNB", "gaussian-nb"),
    ],
)
def test_each_kind_is_recognised(option: str, kind: str, protocol: int, tmp_path: Path) -> None:
    path = write(tmp_path / "classifier.pkl", made(option), protocol)
    assert recognise_pickle(path) == (kind, False)
    with pytest.raises(FormatError, match=f"WORKDIR model=nn4.small2.v1 classifier={kind}$"):
        load_classifier(path)


def test_the_folder_and_lda_are_part_of_the_advice(tmp_path: Path) -> None:
    path = write(tmp_path / "classifier.pkl", made("ldaDim"), 0)
    (tmp_path / "reps.csv").touch()
    with pytest.raises(FormatError, match="lda_dim=N") as error:
        load_classifier(path)
    assert f"classify train {tmp_path} model" in str(error.value)
    assert error_text(error.value).endswith(
        f"{tmp_path} --model nn4.small2.v1 --classifier linear-svm --lda-dim N"
    )


def test_python_2_wrote_names_of_old_modules(tmp_path: Path) -> None:
    path = tmp_path / "celeb-classifier.nn4.small2.v1.pkl"
    path.write_bytes(
        b"(csklearn.preprocessing.label\nLabelEncoder\np0\nccopy_reg\n_reconstructor\n"
        b"(csklearn.svm.classes\nSVC\np1\nS'kernel'\nS'linear'\ntp2\n."
    )
    assert recognise_pickle(path) == ("linear-svm", False)


def test_nothing_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "hurt"),)

    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(("sklearn LabelEncoder SVC", Evil())))
    with pytest.raises(FormatError, match="never does"):
        load_classifier(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(FormatError, match="not a classifier"):
        load_classifier(path)
    assert not (tmp_path / "hurt").exists()


def test_other_files_are_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("LabelEncoder of sklearn")
    assert recognise_pickle(tmp_path / "a") is None
    assert recognise_pickle(tmp_path / "gone") is None
