"""Ctrl-C and SIGTERM: the first ends a command within a second, or within some where it is stuck;
no number of them shows a traceback."""

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
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
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


STUCK = """
import ctypes, sys
from concurrent.futures import ThreadPoolExecutor
from facetool.cli import interrupts, main
from facetool.jobs.pool import OrderedPool

library = ctypes.CDLL(None)
library_that_lets_nobody_run = ctypes.PyDLL(None)

def thread():
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(library.sleep, 1000)
        ready()
        waiting.result()

def end():
    try:
        ready()
        library.pause()
    finally:
        library.sleep(1000)

def worker():
    with OrderedPool(work, list, tuple, jobs=1) as pool:
        try:
            list(pool.map([[1]]))
        finally:
            library.sleep(1000)

def work(context, chunk):
    import os
    ready(os.getpid())
    return [library_that_lets_nobody_run.sleep(1000)]

def training():
    from facetool.pipeline.train import _stop_requests
    with _stop_requests() as requested, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(library.sleep, 1000)
        ready()
        requested.wait()
        ready()
        waiting.result()

def python_itself():
    ThreadPoolExecutor(1).submit(library.sleep, 1000)
    ready()

def ready(number=0):
    print(number, flush=True)

if __name__ == "__main__":
    interrupts._LIMIT = float(sys.argv[2])
    main.cli.main = lambda **settings: globals()[sys.argv[1]]()
    main.main()
"""
"""Commands stuck in a C function, and what of each is."""


def stuck(where: str, folder: Path, *, limit: float = 60.0) -> subprocess.Popen[str]:
    """A process that is stuck; its next line on stdout is what it is stuck in."""
    program = folder / "stuck.py"
    program.write_text(STUCK)
    return subprocess.Popen(
        [sys.executable, program, where, str(limit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and stderr of a process that must end by itself."""
    try:
        _, stderr = process.communicate(timeout=8)
    finally:
        process.kill()
    return process.returncode, stderr


SIGNALS = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)


@SIGNALS
def test_a_stuck_thread_has_some_seconds_to_end(number: int, code: int, tmp_path: Path) -> None:
    process = stuck("thread", tmp_path, limit=0.3)
    assert process.stdout and process.stdout.readline()
    process.send_signal(number)
    assert ended(process) == (code, "facetool: stopped\n")


@SIGNALS
def test_the_second_signal_ends_a_stuck_thread_at_once(
    number: int, code: int, tmp_path: Path
) -> None:
    process = stuck("thread", tmp_path)
    assert process.stdout and process.stdout.readline()
    process.send_signal(number)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(number)
    assert ended(process) == (code, "facetool: stopped\n")


def test_the_second_signal_ends_what_is_stuck_after_the_first(tmp_path: Path) -> None:
    process = stuck("end", tmp_path)
    assert process.stdout and process.stdout.readline()
    time.sleep(0.1)  # from the line to the call
    process.send_signal(signal.SIGTERM)
    time.sleep(0.8)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, "facetool: stopped\n")


def test_a_signal_ends_what_has_ended_but_for_a_stuck_thread(tmp_path: Path) -> None:
    process = stuck("python_itself", tmp_path)
    assert process.stdout and process.stdout.readline()
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, "facetool: stopped\n")


def test_training_has_all_the_time_for_its_checkpoint_but_only_once(tmp_path: Path) -> None:
    process = stuck("training", tmp_path, limit=0.2)
    for _ in range(2):
        assert process.stdout and process.stdout.readline()
        time.sleep(0.8)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, "facetool: stopped\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_that_are_stuck_end_too(tmp_path: Path) -> None:
    """This one holds Python's lock, so that no thread of its own sees the other process end."""
    process = stuck("worker", tmp_path, limit=0.3)
    assert process.stdout
    worker = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    code, _ = ended(process)
    assert code == 143
    status = Path(f"/proc/{worker}/status")
    limit = time.monotonic() + 5
    while status.exists() and "(zombie)" not in status.read_text() and time.monotonic() < limit:
        time.sleep(0.05)
    assert not status.exists() or "(zombie)" in status.read_text()
