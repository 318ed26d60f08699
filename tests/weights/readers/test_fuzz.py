"""A sample of ``scripts/fuzz-readers``; run the script for more cases."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "fuzz-readers"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the script measures with /proc and rusage")
def test_damaged_files_are_refused_or_run(shared: Path) -> None:
    line = [sys.executable, str(SCRIPT), "--golden", str(shared / "golden"), "--cases", "15"]
    process = subprocess.run([*line, "--seed", "7"], capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count(": 15 cases") == 26, process.stdout
