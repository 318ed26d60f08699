"""``records`` on the command line, and what takes its files."""

import json
from pathlib import Path

from tests.cli.conftest import Run


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


def test_mistakes_are_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    (tmp_path / "a.rec").write_bytes(b"x")
    (tmp_path / "a.idx").write_text("x")
    for code, arguments in (
        (1, ("records", "info", tmp_path / "a.rec")),
        (2, ("represent", tmp_path / "a.bin", tmp_path / "out")),
    ):
        done = run(*arguments)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
