"""The command line, run in this process."""

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


@pytest.fixture
def eight_people(tmp_path: Path) -> Path:
    """A represent folder of eight people with four images each."""
    folder = tmp_path / "reps"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(8, 16)), 4, axis=0) + 0.3 * rng.normal(size=(32, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.save(folder / "reps.npy", rows.astype(np.float32))
    lines = [f"1,P{person}/{image}.png\n" for person in range(8) for image in range(4)]
    (folder / "labels.csv").write_text("".join(lines))
    provenance = {"network": "n", "weights": {"name": "n.v1", "sha256": "ab"}}
    (folder / "represent.json").write_text(json.dumps(provenance))
    return folder
