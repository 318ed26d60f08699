"""``records``, ``bin-eval`` and ``identify`` on the command line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from facetool.cli.main import main


class Done(NamedTuple):
    returncode: int | str | None
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["facetool", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return Done(caught.value.code, *capsys.readouterr())

    return call


def test_pack_inspect_represent(run: Run, shared: Path, tmp_path: Path) -> None:
    golden = shared / "golden" / "mxnet"
    done = run("records", "pack", golden / "records" / "images", tmp_path / "train.rec")
    assert (done.returncode, done.stdout) == (0, "")
    assert "40 images packed, 10 identities" in done.stderr
    done = run("records", "info", tmp_path / "train.rec", "--json")
    assert json.loads(done.stdout)["identities"] == 10
    model = ("--model", golden / "tiny18-0000.params")
    done = run("represent", tmp_path / "train.rec", tmp_path / "reps", *model)
    assert done.returncode == 0, done.stderr
    labels = (tmp_path / "reps" / "labels.csv").read_text().splitlines()
    assert labels[:5] == ["1,0/01", "1,0/02", "1,0/03", "1,0/04", "2,1/05"]
    done = run("identify", tmp_path / "reps", tmp_path / "reps")
    assert done.returncode == 0, done.stderr
    assert "120 pairs of probe and mate" in done.stdout


def test_bin_eval(run: Run, shared: Path) -> None:
    golden = shared / "golden" / "mxnet"
    bins = [golden / "records" / "bin" / f"py3_{form}_proto4.bin" for form in ("bytes", "numpy")]
    done = run("bin-eval", *bins, "--model", golden / "tiny18-0000.params", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [one["pairs"]["scored"] for one in result["sets"]] == [60, 60]
    assert 0 <= result["sets"][0]["flip"]["accuracy"]["mean"] <= 1


def test_identify_prints_what_it_writes(run: Run, tmp_path: Path) -> None:
    reps = tmp_path / "reps"
    reps.mkdir()
    rng = np.random.default_rng(0)
    np.save(reps / "reps.npy", rng.standard_normal((6, 8)).astype(np.float32))
    (reps / "labels.csv").write_text("".join(f"{i // 2},{i // 2}/{i}.png\n" for i in range(6)))
    done = run("identify", reps, reps, "--json", "--output", tmp_path / "out", "--ranks", 3)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "out" / "identify.json").read_text()
    assert len(json.loads(done.stdout)["identification"][0]["cmc"]) == 3


def test_mistakes_are_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    (tmp_path / "a.rec").write_bytes(b"x")
    (tmp_path / "a.idx").write_text("x")
    for code, arguments in (
        (1, ("bin-eval", tmp_path / "a.bin")),
        (1, ("records", "info", tmp_path / "a.rec")),
        (1, ("identify", tmp_path / "a.bin", tmp_path / "a.bin")),
        (2, ("represent", tmp_path / "a.bin", tmp_path / "out")),
        (2, ("bin-eval", tmp_path / "none.bin")),
    ):
        done = run(*arguments)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
