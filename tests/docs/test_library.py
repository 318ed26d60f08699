"""The recipes of docs/library.md, as they are printed there, on the album of its images."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text("utf-8")
*COMMANDS, ALBUM = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "bin").mkdir()
    for name, command in (("python", ""), ("facetool", "-m facetool")):
        shim = folder / "bin" / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    type_in(ALBUM, folder)
    return folder


def type_in(commands: str, folder: Path, *, status: int = 0) -> str:
    """Run lines in a shell, and give back what they print."""
    done = subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_every_recipe_runs_on_the_album(folder: Path) -> None:
    assert len(list(folder.glob("photos/*/*.jpg"))) == 52 and len(list(folder.glob("new/*"))) == 16
    find, group, look, name, tidy = COMMANDS
    align, represent = find.splitlines()
    said = type_in(align, folder, status=1)  # one file is empty
    counts = "51 aligned", "1 no-face", "1 failed", "(1 truncated)"  # whichever comes first
    assert all(count in said for count in counts)
    assert "51 represented" in type_in(represent, folder)
    assert "51 faces in 9 groups" in type_in(group.replace("0.25", "0.17"), folder)
    assert len((folder / "names.csv").read_text().splitlines()) == 9
    assert "Alex_Alderworth_0001.jpg" in type_in(look, folder)
    named = re.findall(r"^(\w+) +[\d.]+  .* new/(\w+)_\d+\.jpg$", type_in(name, folder), re.M)
    assert len(named) == 16 and not [one for one in named if one[0] not in (one[1], "unknown")]
    assert sum(who == "unknown" for who, _ in named) < 6
    assert "3 photos more than once" in type_in(tidy, folder)
    for page in ("missed", "groups", "found", "named", "twice"):
        assert "data:image/jpeg" in (folder / f"{page}.html").read_text("utf-8")
