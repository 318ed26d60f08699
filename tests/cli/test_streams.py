"""Standard streams that are closed, and names in another encoding, around the whole command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facetool.files.align_manifest import read_manifest

pytestmark = pytest.mark.slow
FACETOOL = f"{sys.executable} -m facetool"


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing_else(album: Path, tmp_path: Path, closed: str) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    one = min(album.rglob("*.jpg"))
    (photos / one.name).write_bytes(one.read_bytes())
    done = shell(f"{FACETOOL} align {photos} {tmp_path / 'crops'} --jobs 1 {closed}")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"Traceback" not in done.stderr
    (row,) = read_manifest(tmp_path / "crops" / "align.csv")
    assert (tmp_path / "crops" / row.output).is_file()


def test_a_list_from_a_closed_stdin_is_refused(tmp_path: Path) -> None:
    done = shell(f"{FACETOOL} align - {tmp_path / 'crops'} <&-")
    assert (done.returncode, done.stderr) == (2, b"facetool: stdin lists no photos\n")


def test_a_broken_pipe_of_its_own_is_no_reader_that_went_away(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text(
        "from facetool.cli import main\n"
        "def fail(**settings):\n"
        "    raise BrokenPipeError(32, 'Broken pipe')\n"
        "main.cli = fail\n"
        "main.cli.main = fail\n"
        "main.main()\n"
    )
    root = str(Path(__file__).parents[2])
    done = shell(f"{sys.executable} {script}", PYTHONPATH=root)
    assert (done.returncode, done.stderr) == (1, b"facetool: Broken pipe\n")
    assert shell(f"{FACETOOL} models list 2>&1 | true").returncode == 0


def test_names_are_utf_8_whatever_the_locale(album: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "José" / "é.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(min(album.rglob("*.jpg")).read_bytes())
    align = f"{FACETOOL} align {tmp_path / 'photos'} {tmp_path / 'crops'} --jobs 1"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert shell(align, **ascii_only).returncode == 0
    (row,) = read_manifest(tmp_path / "crops" / "align.csv")
    assert row.input == "José/é.jpg"
    assert b"1 already there" in shell(align, LC_ALL="C.UTF-8", PYTHONUTF8="1").stderr
