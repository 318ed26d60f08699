"""Running the command as a user does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def facetool(
    *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run ``facetool``; ``env`` is added to the environment."""
    command = [
        sys.executable,
        "-m",
        "facetool",
        *[os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments],
    ]
    everything = {**os.environ, **(env or {})}
    return subprocess.run(command, capture_output=True, env=everything, cwd=cwd, check=False)


def interrupt(
    arguments: list[object], when: Callable[[], bool], times: int
) -> tuple[int, str, float]:
    """Run ``facetool`` and press Ctrl-C some times.

    Args:
        arguments: of the command.
        when: the first time comes as soon as this is true.
        times: how often.

    Returns:
        Exit code, stderr, and the seconds that it took to end.
    """
    command = [sys.executable, "-m", "facetool", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    limit = time.monotonic() + 60
    while not when() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    begun = time.monotonic()
    for _ in range(times):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.02)
    stderr = process.communicate(timeout=60)[1].decode()
    return process.returncode, stderr, time.monotonic() - begun
