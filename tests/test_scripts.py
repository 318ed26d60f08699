"""The scripts are checked as the package is, and what they write is current."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_every_python_script_is_linted_and_typed() -> None:
    settings = (ROOT / "pyproject.toml").read_text()
    found = 0
    for path in (ROOT / "scripts").iterdir():
        if "python" in path.read_text().partition("\n")[0]:
            found += 1
            # ruff's extend-include and mypy's files, neither of which finds files without a suffix.
            assert settings.count(f'"scripts/{path.name}"') == 2, path.name
    assert found > 5


def test_the_command_line_reference_is_current() -> None:
    if f"click=={version('click')}\n" not in (ROOT / "constraints.txt").read_text():
        pytest.skip("another click than the one in constraints.txt lays help out differently")
    script = [sys.executable, str(ROOT / "scripts" / "cli-reference"), "--check"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_gpu_benchmark_runs_without_a_gpu() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "bench-gpu"), "--device", "cpu"]
    short = "--networks mobilefacenet --dtypes float32 --batches 2 --rounds 1 --seconds 0.01"
    done = subprocess.run(
        [*script, *short.split(), "--detector", "hog"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (network,) = [line for line in done.stdout.splitlines() if "mobilefacenet" in line]
    rates = [cell.strip() for cell in network.split("|")[4:-2]]
    assert rates[1] == ""  # torch.compile was not asked for
    assert all(float(rate.replace(",", "")) > 0 for rate in (rates[0], rates[2]))
    assert done.stdout.count("| hog |") == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_commands_that_are_killed_end_like_undisturbed_ones(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "torture"), "records-pack", "represent-again"]
    done = subprocess.run(
        [*script, "--kills", "6", "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" stops (") == 2
    assert done.stdout.endswith("0 findings\n")


@pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="mounts are looked up in /proc")
def test_torture_leaves_no_mount_when_it_is_killed_itself(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "torture"), "cluster", "--folder"]
    with subprocess.Popen([*script, str(tmp_path)], start_new_session=True) as process:
        mounts = Path(f"/proc/{process.pid}/mounts")
        deadline = time.monotonic() + 20
        while str(tmp_path) not in mounts.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        mounted = str(tmp_path) in mounts.read_text()
        seen = str(tmp_path) in Path("/proc/self/mounts").read_text()
        os.killpg(process.pid, signal.SIGKILL)
    assert not seen
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    if not mounted:
        pytest.skip("nothing can be mounted here")


@pytest.fixture
def lfw(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``scripts/lfw`` with the words given to it, its commands printed instead of run."""
    folder = tmp_path / "copy"
    for name, text in {
        "scripts/lfw": (ROOT / "scripts" / "lfw").read_text(),
        "scripts/setup": "#!/bin/sh\n",
        ".venv/bin/python": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n',
        ".venv/bin/facetool": '#!/bin/sh\ncase " ${STOPS:-} " in *" $1 "*) exit $CODE;; esac\n',
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "lfw").mkdir()
    (tmp_path / "pairs.txt").touch()

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        # A proxy that is not there: nothing is fetched.
        proxies = {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
        script = [str(folder / "scripts" / "lfw"), *words]
        return subprocess.run(
            script,
            cwd=tmp_path,
            env=os.environ | proxies | env,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_lfw_takes_fallback_images_and_draws_curves_of_folders(
    lfw: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "funneled").mkdir()
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / "Human.txt").touch()
    done = lfw("lfw", FALLBACK="funneled/.", CURVES="curves", PROTOCOLS="openface")
    assert done.returncode == 0, done.stderr
    align, represent, evaluate = done.stdout.splitlines()[:3]
    assert align.startswith(f"$ facetool align {tmp_path}/lfw data/lfw-aligned-dlib-resnet ")
    assert align.endswith(f"--on-no-face center --fallback {tmp_path}/funneled")
    assert represent.startswith("$ facetool represent data/lfw-aligned-dlib-resnet ")
    assert f"--pairs {tmp_path}/lfw/../pairs.txt" in evaluate
    assert evaluate.endswith(f"--curve Human={tmp_path}/curves/Human.txt")


def test_lfw_goes_on_after_images_that_failed_and_stops_at_wrong_usage(
    lfw: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = lfw("lfw", STOPS="align represent", CODE="1")
    assert (done.returncode, done.stdout.count("$ facetool lfw-eval")) == (1, 2)
    done = lfw("lfw", STOPS="represent", CODE="2")
    assert (done.returncode, done.stdout.count("$ facetool")) == (2, 2)


@pytest.mark.parametrize(
    ("words", "env", "file", "instead"),
    [
        ([], {}, "data/lfw.tgz", "run scripts/lfw PHOTOS"),
        (["lfw"], {"FALLBACK": "funneled"}, "data/lfw-funneled.tgz", "FALLBACK=DIR"),
        (["lfw"], {"CURVES": "published"}, "data/curves/kumar_human_crop.txt", "CURVES=DIR"),
    ],
)
def test_lfw_says_what_it_cannot_fetch_and_takes_no_other_file(
    lfw: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    words: list[str],
    env: dict[str, str],
    file: str,
    instead: str,
) -> None:
    done = lfw(*words, **env)
    assert (done.returncode, done.stdout) == (1, "")
    said = done.stderr.splitlines()[-1]
    assert said.startswith("cannot fetch https://")
    assert f"put the file at {file}" in said
    assert instead in said
    (tmp_path / "copy" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "copy" / file).write_text("another")
    done = lfw(*words, **env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{file} is not the file it should be (sha256 ")


def test_lfw_draws_the_published_curves(
    lfw: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, shared: Path
) -> None:
    shutil.copytree(shared / "roc-curves", tmp_path / "copy" / "data" / "curves")
    done = lfw("lfw", CURVES="published", PROTOCOLS="openface")
    assert done.returncode == 0, done.stderr
    drawn = done.stdout.splitlines()[2].split("--curve ")[1:]
    assert [one.partition("=")[0] for one in drawn] == [
        "Human, cropped",
        "Baidu",
        "DeepFace ensemble",
        "OpenBR 1.1.0",
        "Eigenfaces",
    ]
