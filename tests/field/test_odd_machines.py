"""Machines that lack what others have: open files, a home, room for temporary files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from facetool.cli.main import cli
from facetool.files.align_manifest import read_manifest
from tests.field.commands import facetool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its limits are others")

NO_FILES_LEFT = b"facetool: Too many open files; allow more with ulimit -n\n"


def with_open_files(
    most: int, *arguments: object, inherited: Sequence[int] = ()
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "facetool", *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'ulimit -n {most} && exec "$@"', "sh", *command],
        capture_output=True,
        check=False,
        pass_fds=inherited,
    )


@pytest.mark.slow
@pytest.mark.parametrize("most", [12, 16])
def test_few_open_files_are_enough_or_one_line(
    album: Path, crops: Path, tmp_path: Path, most: int
) -> None:
    photos = [album / row.input for row in list(read_manifest(crops / "align.csv"))[:2]]
    for number, arguments in enumerate(
        [
            ("align", album, tmp_path / "crops", "--jobs", 4),
            ("represent", crops, tmp_path / "reps", "--jobs", 4),
            ("compare", *photos),
        ]
    ):
        ended = with_open_files(most, *arguments)
        assert (ended.returncode, ended.stderr) == (1, NO_FILES_LEFT) or (
            ended.returncode == 0 and b"Traceback" not in ended.stderr
        ), number
    if (tmp_path / "crops/align.csv").exists():
        rows = read_manifest(tmp_path / "crops/align.csv")
        assert not any("open files" in row.reason for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("most", [22, 28])
def test_no_more_workers_than_open_files(album: Path, tmp_path: Path, most: int) -> None:
    ended = with_open_files(most, "align", album, tmp_path / "crops", "--jobs", 12)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False), ended.stderr
    assert len(list(read_manifest(tmp_path / "crops/align.csv"))) == 24


@pytest.mark.slow
@pytest.mark.parametrize("most", [24, 25, 26, 27, 28, 29, 30])
def test_files_that_a_command_inherits_count_as_open(
    album: Path, tmp_path: Path, most: int
) -> None:
    """A shell may leave some open; what starts workers prints its own errors."""
    with (album / "pairs.txt").open() as file:
        inherited = [os.dup(file.fileno()) for _ in range(5)]
        try:
            arguments = ("align", album, tmp_path / "crops", "--jobs", 12, "--quiet")
            ended = with_open_files(most, *arguments, inherited=inherited)
        finally:
            for one in inherited:
                os.close(one)
    assert ended.stderr.count(b"\n") == 1 and b"Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode == 0 or (most < 30 and ended.stderr == NO_FILES_LEFT)


@pytest.mark.slow
def test_a_folder_for_temporary_files_of_a_long_name(album: Path, tmp_path: Path) -> None:
    """Longer than the path of a socket may be."""
    folder = tmp_path / "t" / ("x" * 120)
    folder.mkdir(parents=True)
    ended = facetool("align", album, tmp_path / "crops", "--jobs", 2, env={"TMPDIR": str(folder)})
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False), ended.stderr


@pytest.mark.slow
def test_no_home_and_nobody(album: Path, crops: Path, tmp_path: Path) -> None:
    """As in a container that runs under any user's number: only what asks for the home lacks it."""
    photo = str(album / next(read_manifest(crops / "align.csv")).input)
    program = (
        "import os, sys; os.environ.pop('HOME'); os.environ.pop('XDG_CACHE_HOME', None)\n"
        "import pwd; pwd.getpwuid = lambda number: (_ for _ in ()).throw(KeyError(number))\n"
        "from facetool.cli.main import main; sys.argv[0] = 'facetool'; main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "FACETOOL_HOME"}
    no_home = (
        b"facetool: this user has no home folder; name a folder for weights in FACETOOL_HOME\n"
    )
    for arguments, wanted in (
        (["compare", photo, photo], (0, b"")),
        (["models", "where"], (1, no_home)),
    ):
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={**environment, "HOME": "x"},
        )
        assert (ended.returncode, ended.stderr) == wanted


@pytest.mark.slow
@pytest.mark.parametrize(
    "lacking",
    [
        {"TZ": "Pacific/Auckland"},
        {"LC_ALL": "C", "LANG": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TMPDIR": "/not/there"},
        {"HOME": os.devnull, "XDG_CACHE_HOME": "", "FACETOOL_HOME": ""},
        {"PYTHONOPTIMIZE": "1"},
    ],
    ids=["time zone", "locale", "temporary files", "home", "assertions"],
)
def test_the_same_crops_everywhere(
    album: Path, crops: Path, tmp_path: Path, lacking: dict[str, str]
) -> None:
    person = tmp_path / "Zo\u00eb"
    shutil.copytree(sorted(album.iterdir())[0], person)
    ended = facetool("align", person, tmp_path / "crops", "--jobs", 2, env=lacking)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False), ended.stderr
    made = [row.output for row in read_manifest(tmp_path / "crops/align.csv") if row.output]
    assert made
    for name in made:
        there = crops / sorted(album.iterdir())[0].name / name
        assert (tmp_path / "crops" / name).read_bytes() == there.read_bytes()


@pytest.mark.slow
def test_plots_without_a_home(tmp_path: Path) -> None:
    reps = tmp_path / "reps"
    reps.mkdir()
    rows = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    np.save(reps / "reps.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    lines = [f"{row % 3},P{row % 3}/{row}.png\n" for row in range(12)]
    (reps / "labels.csv").write_text("".join(lines))
    plot = tmp_path / "plot.png"
    homeless = {"HOME": os.devnull, "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "MPLCONFIGDIR": ""}
    ended = facetool("embed-plot", reps, "--output", plot, env=homeless)
    assert (ended.returncode, plot.is_file()) == (0, True)
    assert b"atplotlib" not in ended.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_stdout() -> None:
    for arguments in ("models list", "models list --json", "--help"):
        command = [sys.executable, "-m", "facetool", *arguments.split()]
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
        assert ended.returncode == 1
        assert ended.stderr == b"facetool: cannot write stdout: No space left on device\n"


@pytest.mark.slow
def test_a_link_to_nowhere_among_crops(crops: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    shutil.copytree(crops, folder)
    row = next(row for row in read_manifest(folder / "align.csv") if row.output)
    (folder / row.output).unlink()
    (folder / row.output).symlink_to(tmp_path / "gone.png")
    ended = facetool("represent", folder, tmp_path / "reps")
    assert ended.returncode == 1
    assert f"{row.output}: ".encode() in ended.stderr
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize(("system", "said"), [("win32", True), ("linux", False), ("darwin", False)])
def test_windows_is_said_not_to_be_supported(
    monkeypatch: pytest.MonkeyPatch, system: str, said: bool
) -> None:
    runner = CliRunner()
    runner.invoke(cli, ["models", "list"])  # whatever asks for the system at import has done so
    monkeypatch.setattr("sys.platform", system)
    done = runner.invoke(cli, ["models", "list"])
    assert done.exit_code == 0
    assert ("warning: Windows is not supported" in done.stderr) == said
