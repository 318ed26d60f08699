"""The scripts are checked as the package is, and what they write is current."""

import subprocess
import sys
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
