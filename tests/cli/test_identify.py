"""``identify`` on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run


@pytest.mark.slow
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


def test_a_damaged_file_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    done = run("identify", tmp_path / "a.bin", tmp_path / "a.bin")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
