"""``classify`` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.slow
def test_train_and_evaluate(run: Run, eight_people: Path) -> None:
    result = run("classify", "train", eight_people)
    assert result.returncode == 0
    assert "accuracy    1.0000" in result.stdout and "8 held-out people" in result.stdout
    assert "facetool classify infer" in result.stderr
    assert (eight_people / "classifier.safetensors").is_file()
    document = json.loads(run("classify", "train", eight_people, "--json", "--fpir", 0.1).stdout)
    assert document["threshold"]["fpir"] == 0.1 and document["accuracy"]["folds"] == 4

    result = run("classify", "evaluate", eight_people / "classifier.safetensors", eight_people)
    assert result.returncode == 0 and "give some with --unknown" in result.stdout
    (eight_people / "list").write_text("P1\nP2\n")
    result = run("classify", "evaluate", eight_people, "--unknown", eight_people / "list", "--json")
    assert json.loads(result.stdout)["people"] == 6


def test_a_classifier_that_cannot_name_faces_in_photos_is_not_said_to(
    run: Run, eight_people: Path
) -> None:
    (eight_people / "represent.json").unlink()
    result = run("classify", "train", eight_people)
    assert result.returncode == 0
    assert f"facetool classify train {eight_people} --model NAME" in result.stderr
    assert "classify infer" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["REPS", "REPS"], "a classifier file and a represent folder"),
        (["CLASSIFIER"], "give a represent folder"),
        (["CLASSIFIER", "REPS", "--fpir", "0.1"], "belong to the training"),
        (["REPS", "--fpir", "0"], "0<x<1"),
    ],
)
def test_evaluate_used_wrongly(
    arguments: list[str], message: str, run: Run, eight_people: Path
) -> None:
    run("classify", "train", eight_people)
    places = {"REPS": eight_people, "CLASSIFIER": eight_people / "classifier.safetensors"}
    result = run("classify", "evaluate", *(places.get(a, a) for a in arguments))
    assert result.returncode == 2 and message in result.stderr


@pytest.mark.slow
def test_infer_needs_the_network_it_was_trained_on(run: Run, eight_people: Path) -> None:
    run("classify", "train", eight_people)
    command = [sys.executable, "-m", "facetool", "classify", "infer"]
    done = subprocess.run(
        [*command, eight_people / "classifier.safetensors", "photo.jpg"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("facetool: there is no network 'n'")
    done = subprocess.run(
        [*command, eight_people / "labels.csv", "x.jpg"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "is not a classifier" in done.stderr
    assert len(done.stderr.splitlines()) == 1
