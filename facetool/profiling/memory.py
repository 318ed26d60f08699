"""Peak memory of this process, on the host and on a GPU."""

from __future__ import annotations

import contextlib
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def reset_peak_memory(device: torch.device) -> None:
    """Start over, so that the next peaks are those of what runs from now on.

    On the host this works on Linux; elsewhere the peak stays that of the whole process.
    """
    gc.collect()  # traced networks refer to themselves and outlive their use
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_host_memory() -> int | None:
    """Most bytes of physical memory this process has held, libraries included.

    None on systems that do not tell (Windows).
    """
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_gpu_memory(device: torch.device) -> int | None:
    """Most bytes that tensors have held on a GPU; None for the CPU."""
    if device.type != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_allocated(device)
