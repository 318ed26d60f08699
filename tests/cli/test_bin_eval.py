"""``bin-eval`` on the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from facetool.cli.tables.bin_eval import bin_eval_table
from facetool.pipeline.bin_eval import evaluate_set
from tests.cli.conftest import Run


@pytest.mark.slow
def test_bin_eval(run: Run, shared: Path) -> None:
    golden = shared / "golden" / "mxnet"
    bins = [golden / "records" / "bin" / f"py3_{form}_proto4.bin" for form in ("bytes", "numpy")]
    done = run("bin-eval", *bins, "--model", golden / "tiny18-0000.params", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [one["pairs"]["scored"] for one in result["sets"]] == [60, 60]
    assert 0 <= result["sets"][0]["flip"]["accuracy"]["mean"] <= 1
    lines = bin_eval_table(result).splitlines()
    assert lines[3].startswith("py3_bytes_proto4")
    assert lines[4].startswith("py3_numpy_proto4")


def test_mistakes_are_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    for code, arguments in (
        (1, ("bin-eval", tmp_path / "a.bin")),
        (2, ("bin-eval", tmp_path / "none.bin")),
    ):
        done = run(*arguments)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


@pytest.mark.slow
def test_several_epochs_share_a_table(run: Run, shared: Path, tmp_path: Path) -> None:
    golden = shared / "golden" / "mxnet"
    shutil.copy(golden / "tiny18-symbol.json", tmp_path / "model-symbol.json")
    for epoch in (1, 2):
        shutil.copy(golden / "tiny18-0000.params", tmp_path / f"model-000{epoch}.params")
    one = golden / "records" / "bin" / "py3_bytes_proto4.bin"
    done = run("bin-eval", one, "--model", tmp_path / "model", "--nfolds", 3)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2] == "py3_bytes_proto4, 60 pairs"
    assert [line.split()[0] for line in lines[4:7]] == [
        "model-0002.params",
        "model-0001.params",
        "best:",
    ]
    done = run("bin-eval", one, "--model", f"{tmp_path / 'model'},1|2", "--nfolds", 3, "--json")
    first, second = json.loads(done.stdout)["epochs"]
    assert first["weights"]["name"] == "model-0001.params"
    assert first["sets"][0]["flip"] == second["sets"][0]["flip"]
    assert len(first["sets"][0]["flip"]["accuracy"]["folds"]) == 3


def test_folds_of_one_kind_have_rates_without_deviation() -> None:
    """Few pairs: each fold holds one kind, and TAR is that of all pairs together."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal((10, 8)).astype(np.float32)
    same = np.arange(10) % 2 == 0
    second = np.where(same[:, None], first, rng.standard_normal((10, 8))).astype(np.float32)
    vectors = np.stack([first, second], axis=1).reshape(20, 8)
    metrics = evaluate_set(np.hstack([vectors, vectors]), same, np.ones(20, bool))
    one = {"set": "few", "published": [], **metrics}
    weights = {"name": "w", "sha256": ""}
    text = bin_eval_table(
        {"network": "n", "weights": weights, "device": "cpu", "dtype": "float32", "sets": [one]}
    )
    (line,) = [line for line in text.splitlines() if line.startswith("0.1 ")]
    assert "1.0000" in line and "±" not in line
