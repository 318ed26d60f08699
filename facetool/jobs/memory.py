"""How much memory this machine still has."""

from __future__ import annotations

from pathlib import Path

_SYSTEM = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that can be had without swapping, in a container within its limit.

    None on systems that do not tell (macOS, Windows).
    """
    try:
        lines = dict(line.split(":", 1) for line in _SYSTEM.read_text("ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit = int((_CONTAINER / "memory.max").read_text("ascii"))
        used = int((_CONTAINER / "memory.current").read_text("ascii"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return max(0, min(free, limit - used))
