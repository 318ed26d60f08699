import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from facetool.cli.lfw_eval import command
from facetool.errors import FormatError


@pytest.fixture(autouse=True)
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than everything else together; the pipeline's tests draw."""
    monkeypatch.setattr("facetool.pipeline.lfw_eval.save_plot", lambda figure, path: path.touch())


@pytest.fixture
def reps(tmp_path: Path) -> Path:
    """Ten people with two images each: a genuine and an impostor pair in each of ten folds."""
    people = np.eye(10)
    rows = np.repeat(people, 2, axis=0) + 0.1 * np.random.default_rng(0).normal(size=(20, 10))
    np.save(tmp_path / "reps.npy", rows.astype(np.float32))
    names = [f"P{person}/P{person}_{n:04d}.png" for person in range(10) for n in (1, 2)]
    (tmp_path / "labels.csv").write_text("".join(f"{i},{name}\n" for i, name in enumerate(names)))
    lines = [f"P{p}\t1\t2\nP{p}\t1\tP{(p + 1) % 10}\t2" for p in range(10)]
    (tmp_path / "pairs.txt").write_text("\n".join(["10\t1", *lines]) + "\n")
    return tmp_path


def run(*arguments: str | Path) -> Result:
    """The command as the group calls it: its return value is the exit code."""
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


@pytest.mark.slow
def test_table(reps: Path) -> None:
    result = run(reps, "--pairs", reps / "pairs.txt", "--tag", "ten people")
    assert result.exception is None and result.return_value == 0
    lines = result.stdout.splitlines()
    assert lines[0].split(maxsplit=1) == ["embeddings", "ten people"]
    assert "20 scored (10 genuine, 10 impostor), 0 missing" in result.stdout
    accuracy = json.loads((reps / "result.json").read_text())["accuracy"]
    assert (
        f"accuracy         {accuracy['mean']:.4f} ± {accuracy['std']:.4f} (std over 10 folds; "
        f"standard error {accuracy['se']:.4f})" in result.stdout
    )
    assert "(0 of 10 impostors accepted; too few to measure this rate)" in result.stdout
    assert lines[-11].split() == ["fold", "threshold", "accuracy"]
    assert (reps / "roc.png").is_file() and "roc.png" in result.stderr


def test_json_is_the_result_file(reps: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = run(reps, "--pairs", reps / "pairs.txt", "--output", output, "--json")
    assert result.return_value == 0
    assert result.stdout == (output / "result.json").read_text()
    document = json.loads(result.stdout)
    assert set(document["accuracy"]) >= {"mean", "std", "se", "folds", "thresholds"}
    assert set(document["auc"]) == {"value", "averaging"}
    assert {"eer", "tar_at_far", "pairs", "protocol", "provenance"} <= set(document)


def test_missing_pairs_are_named_and_exit_with_1(reps: Path) -> None:
    labels = (reps / "labels.csv").read_text()
    (reps / "labels.csv").write_text(labels.replace("P3_0001", "X_0001"))
    result = run(reps, "--pairs", reps / "pairs.txt")
    assert result.return_value == 1
    assert "2 of 20 pairs not scored, no embedding of: P3_0001" in result.stderr
    assert "18 scored" in result.stdout and (reps / "result.json").is_file()
    assert "   3          -         -" in result.stdout


@pytest.mark.slow
def test_protocols_and_their_options(reps: Path) -> None:
    pairs = ("--pairs", reps / "pairs.txt")
    assert "insightface" in run(reps, *pairs, "--protocol", "insightface").stdout
    facenet = ("--protocol", "facenet", "--metric", "arccos", "--subtract-mean")
    result = run(reps, *pairs, *facenet)
    assert "facenet, arccos, mean subtracted" in result.stdout and result.return_value == 0


def test_warning_goes_to_stderr(reps: Path) -> None:
    np.save(reps / "reps.npy", 30 * np.load(reps / "reps.npy"))
    result = run(reps, "--pairs", reps / "pairs.txt", "--json")
    assert result.stderr.startswith("warning: the openface protocol does not fit")
    assert json.loads(result.stdout)["warnings"]


@pytest.mark.slow
def test_curves(reps: Path) -> None:
    curve = reps / "human=1.txt"
    curve.write_text("0 0\n0.9 0.1\n1 1\n")
    arguments = (reps, "--pairs", reps / "pairs.txt", "--curve")
    assert run(*arguments, f"Human={curve}").return_value == 0
    for wrong in ("Human", "=x", "Human=", f"Human={reps / 'none.txt'}"):
        result = CliRunner().invoke(command, [str(a) for a in (*arguments, wrong)])
        assert result.exit_code == 2 and "--curve" in result.stderr


def test_errors_as_a_plot_and_as_a_page(reps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facetool.pipeline.plot_pairs.save_plot", lambda figure, path: path.touch())
    arguments = (reps, "--pairs", reps / "pairs.txt")
    (reps / "roc.png").write_bytes(b"")
    page, plot = reps / "errors.html", reps / "errors.png"
    result = run(*arguments, "--pairs-plot", plot, "--html", page)
    assert result.exception is None and result.return_value == 0
    assert "False accepts" in page.read_text("utf-8") and plot.is_file()
    wrong = run(*arguments, "--pairs-plot", reps / "errors.gif")
    assert "must end in .png or .pdf" in str(wrong.exception)


def test_wrong_usage(reps: Path) -> None:
    for arguments in ([], [str(reps)], [str(reps / "none"), "--pairs", str(reps / "pairs.txt")]):
        assert CliRunner().invoke(command, arguments).exit_code == 2


def test_malformed_pairs(reps: Path) -> None:
    (reps / "pairs.txt").write_text("10\t1\nP0\t1\n")
    result = run(reps, "--pairs", reps / "pairs.txt")
    assert isinstance(result.exception, FormatError)
    assert "pairs.txt line 2" in str(result.exception)
    assert not (reps / "result.json").exists()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from facetool.cli.lfw_eval import command; "
        "command(['--help'], standalone_mode=False); "
        "print(sorted({'numpy', 'torch', 'sklearn', 'matplotlib', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
