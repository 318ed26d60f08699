"""Ctrl-C: the first ends a command within a second, no number of them shows a traceback."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facetool.files.align_manifest import read_manifest
from tests.field.commands import facetool, interrupt

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process groups there")

CONTINUES = "facetool: interrupted; what is finished is on disk, the same command continues\n"


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 3])
def test_align_can_be_interrupted_and_continued(album: Path, tmp_path: Path, times: int) -> None:
    output = tmp_path / "crops"
    command: list[object] = ["align", album, output, "--on-no-face", "center", "--jobs", 2]
    code, stderr, _ = interrupt(command, lambda: (output / ".facetool.lock").exists(), times)
    # Once Python has begun to end, a further Ctrl-C has the system's own effect: the process is
    # gone at once, and a shell shows 130 for that as well. What there is to say has been said.
    assert code in ((130,) if times == 1 else (130, -signal.SIGINT)), stderr
    assert stderr in (CONTINUES, "facetool: stopped\n")
    assert not list(output.rglob("*.csv"))
    assert facetool(*command, "--quiet").returncode == 0
    assert len(list(read_manifest(output / "align.csv"))) == 24


@pytest.mark.slow
def test_nothing_false_is_promised(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((4000, 64)).astype("f4")
    np.save(tmp_path / "reps.npy", vectors)
    lines = [f"1,p/{row}.png\n" for row in range(len(vectors))]
    (tmp_path / "labels.csv").write_text("".join(lines))
    started = time.monotonic()
    code, stderr, _ = interrupt(["embed-plot", tmp_path], lambda: time.monotonic() > started + 2, 1)
    assert code == 130
    assert stderr in ("facetool: interrupted\n", "facetool: stopped\n")
    assert {path.name for path in tmp_path.iterdir()} == {"reps.npy", "labels.csv"}


@pytest.mark.slow
def test_lines_of_json_come_photo_by_photo(album: Path, crops: Path, tmp_path: Path) -> None:
    """What is printed when a long run is interrupted stays."""
    from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
    from facetool.pipeline.represent import RepresentSettings, represent
    from facetool.weights.load import load_network

    represent(crops, tmp_path / "reps", load_network("dlib-resnet"), RepresentSettings())
    train_classifier(tmp_path / "reps", tmp_path / "classifier", ClassifierSettings())
    photos = sorted(album.glob("*/*.jpg"))[:3]
    done = facetool("classify", "infer", tmp_path / "classifier", *photos, "--json-lines")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["image"] for line in lines] == [str(photo) for photo in photos]
    assert all({"image", "faces"} <= line.keys() for line in lines)


@pytest.mark.slow
def test_rows_of_names_are_kept(album: Path, crops: Path, tmp_path: Path) -> None:
    """The table comes photo by photo, too, also into a file."""
    from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
    from facetool.pipeline.represent import RepresentSettings, represent
    from facetool.weights.load import load_network

    represent(crops, tmp_path / "reps", load_network("dlib-resnet"), RepresentSettings())
    train_classifier(tmp_path / "reps", tmp_path / "classifier", ClassifierSettings())
    photos = sorted(album.glob("*/*.jpg"))
    links = [tmp_path / f"{copy}-{photo.name}" for copy in range(6) for photo in photos]
    for link, photo in zip(links, photos * 6, strict=True):
        link.symlink_to(photo)
    table = tmp_path / "table.txt"
    command = [sys.executable, "-m", "facetool", "classify", "infer", tmp_path / "classifier"]
    with table.open("wb") as file:
        process = subprocess.Popen(
            [*map(str, command), *map(str, links)],
            stdout=file,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        limit = time.monotonic() + 60
        while len(table.read_bytes().splitlines()) < 5 and time.monotonic() < limit:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        stderr = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert stderr.endswith(("facetool: interrupted\n", "facetool: stopped\n"))
    head, *rows = table.read_text().splitlines()
    assert head.split()[:2] == ["name", "confidence"] and head.endswith("  image")
    assert 4 <= len(rows) < len(links)
    shown = [row.split()[-1] for row in rows]
    assert shown == [str(link) for link in links if str(link) in shown]


def test_threads_that_do_not_end_hold_nothing_up() -> None:
    """Python waits for them at its end, for as long as it takes."""
    program = (
        "import os, signal, threading\n"
        "from facetool.cli import main\n"
        "def command(**settings):\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Event().wait()\n"
        "main.cli.main = command\n"
        "main.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 130
    assert done.stderr == "facetool: interrupted\n"


def test_what_a_library_says_of_being_cut_is_not_shown() -> None:
    """A signal may come while a library is in the middle of its own bookkeeping."""
    program = (
        "import os, signal\n"
        "from facetool.cli import main\n"
        "def command(**settings):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n"
        "        raise AssertionError('half done')\n"
        "main.cli.main = command\n"
        "main.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "facetool: interrupted\n"
