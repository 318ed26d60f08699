import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from facetool.cli.main import cli


@pytest.fixture
def reps(tmp_path: Path) -> Path:
    folder = tmp_path / "reps"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(8, 16)), 4, axis=0) + 0.3 * rng.normal(size=(32, 16))
    np.save(folder / "reps.npy", rows.astype(np.float32))
    lines = [f"1,P{person}/{image}.png\n" for person in range(8) for image in range(4)]
    (folder / "labels.csv").write_text("".join(lines))
    provenance = {"network": "n", "weights": {"name": "n.v1", "sha256": "ab"}}
    (folder / "represent.json").write_text(json.dumps(provenance))
    return folder


def run(*arguments: object):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_train_and_evaluate(reps):
    result = run("classify", "train", reps)
    assert result.exit_code == 0
    assert "accuracy    1.0000" in result.stdout and "8 held-out people" in result.stdout
    assert "facetool classify infer" in result.stderr
    assert (reps / "classifier.safetensors").is_file()
    document = json.loads(run("classify", "train", reps, "--json", "--fpir", 0.1).stdout)
    assert document["threshold"]["fpir"] == 0.1 and document["accuracy"]["folds"] == 4

    result = run("classify", "evaluate", reps / "classifier.safetensors", reps)
    assert result.exit_code == 0 and "give some with --unknown" in result.stdout
    (reps / "list").write_text("P1\nP2\n")
    result = run("classify", "evaluate", reps, "--unknown", reps / "list", "--json")
    assert json.loads(result.stdout)["people"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["REPS", "REPS"], "a classifier file and a represent folder"),
        (["CLASSIFIER"], "give a represent folder"),
        (["CLASSIFIER", "REPS", "--fpir", "0.1"], "belong to the training"),
        (["REPS", "--fpir", "0"], "0<x<1"),
    ],
)
def test_evaluate_used_wrongly(arguments, message, reps):
    run("classify", "train", reps)
    places = {"REPS": reps, "CLASSIFIER": reps / "classifier.safetensors"}
    result = run("classify", "evaluate", *(places.get(a, a) for a in arguments))
    assert result.exit_code == 2 and message in result.stderr


def test_infer_needs_the_network_it_was_trained_on(reps):
    run("classify", "train", reps)
    command = [sys.executable, "-m", "facetool", "classify", "infer"]
    done = subprocess.run(
        [*command, reps / "classifier.safetensors", "photo.jpg"], capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("facetool: there is no network 'n'")
    done = subprocess.run([*command, reps / "labels.csv", "x.jpg"], capture_output=True, text=True)
    assert done.returncode == 1 and "is not a classifier" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_looking_at_folders(reps):
    result = run("cluster", reps, "--threshold", 6, "--json")
    assert json.loads(result.stdout)["groups"] == 8 or result.exit_code == 0
    assert (reps / "groups.csv").is_file()
    result = run("outliers", reps, "--threshold", 100, "--json")
    assert json.loads(result.stdout) == []
    assert "0 of 32 images beyond 100" in run("outliers", reps, "--threshold", 100).stderr


@pytest.mark.parametrize("command", ["classify", "outliers", "cluster", "embed-plot"])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys; from facetool.cli.main import cli\n"
        f"cli.main([{command!r}, '--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'matplotlib', 'cv2', 'dlib'} & set(sys.modules)\n"
        "sys.exit(bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout
