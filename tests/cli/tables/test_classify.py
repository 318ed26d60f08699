"""What ``classify`` prints."""

from typing import Any

import pytest

from facetool.cli.tables.classify import InferTable, evaluate_text, train_text
from facetool.detection.face import Box
from facetool.pipeline.classify_infer import NamedFace, NamedPhoto

TRAINED: dict[str, Any] = {
    "classifier": "linear-svm",
    "people": 1200,
    "images": 4000,
    "accuracy": {"accuracy": 0.98765, "std": 0.01, "images": 1, "folds": 4},
    "threshold": {"source": "held-out identities", "cosine": 0.41236, "people": 1, "fpir": 0.01},
    "file": "reps/classifier.safetensors",
}

TRAINED_TEXT = """\
classifier  linear-svm
people      1,200 (4,000 images)
accuracy    0.9877 ± 0.0100 (1 held-out image, 4 folds)
unknown     below cosine 0.412 (1 held-out person, 0.01 of strangers named)
file        reps/classifier.safetensors"""

EVALUATED = {
    "classifier": "gmm",
    "how": "5-fold cross-validation",
    "people": 2,
    "images": 1,
    "accuracy": 0.5,
    "at_threshold": {"dir": 0.25, "rejected": 1, "misnamed": 1000, "fpir_asked": 0.01},
    "strangers": {
        "images": 2000,
        "named": 10,
        "fpir": 0.005,
        "dir_at_fpir": [
            {"fpir": 0.001, "dir": 0.125, "measurable": False},
            {"fpir": 0.1, "dir": 0.75, "measurable": True},
        ],
    },
    "confusions": [{"images": 7, "person": "Ada", "answer": "Bob"}],
}

EVALUATED_TEXT = """\
classifier          gmm, 5-fold cross-validation
people              2 (1 image)
accuracy            0.5000 (closed set: nobody is unknown)
found               0.2500 at the classifier's threshold (1 taken for strangers, \
1,000 for somebody else)
strangers           10 of 2,000 named (FPIR 0.0050, target 0.01)
DIR at FPIR 0.001   0.1250 (too few strangers)
DIR at FPIR 0.1     0.7500

most frequent errors
   7 Ada taken for Bob"""

PHOTOS = [
    NamedPhoto("a.jpg", [NamedFace("Ada", 0.98765, 0.9, Box(10.4, 20.6, 130, 140))]),
    NamedPhoto("b.jpg"),
    NamedPhoto("c\n.jpg", [NamedFace("unknown", 0.25, 0.1, Box(0, 0, 1, 1))]),
]

PHOTOS_TEXT = """\
name     confidence  left top right bottom    image
Ada           0.988  10 21 130 140            a.jpg
unknown       0.250  0 0 1 1                  c\\n.jpg
"""


def test_train_text() -> None:
    assert train_text(TRAINED) == TRAINED_TEXT


@pytest.mark.parametrize(
    ("people", "said"),
    [(1, "there is one person only"), (2, "nobody has two images")],
)
def test_training_without_accuracy_or_threshold(people: int, said: str) -> None:
    accuracy, threshold = {"accuracy": None}, {**TRAINED["threshold"], "source": "none"}
    text = train_text({**TRAINED, "people": people, "accuracy": accuracy, "threshold": threshold})
    assert f"accuracy    not measured: {said}" in text.splitlines()
    assert "unknown     none: every face gets a name" in text.splitlines()


def test_evaluate_text() -> None:
    assert evaluate_text(EVALUATED) == EVALUATED_TEXT


def test_evaluation_without_strangers_and_errors() -> None:
    text = evaluate_text({**EVALUATED, "strangers": None, "confusions": []})
    assert text.endswith("\nstrangers           none; give some with --unknown DIR-OR-LIST")


def test_infer_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = InferTable(["Ada", "unknown"])
    for photo in PHOTOS:
        table.add(photo)
    assert capsys.readouterr().out == PHOTOS_TEXT
