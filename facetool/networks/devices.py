"""Where networks run: from what a user asks for to a device that is there."""

from __future__ import annotations

import torch

from facetool.errors import UsageError
from facetool.files.text import counted

ALL_GPUS = "cuda:all"
"""The device that stands for every GPU of a machine or cluster."""


def resolve_device(device: str | torch.device = "auto", *, mps: bool = True) -> torch.device:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` as a device that is there.

    Args:
        device: a name, of which ``auto`` is a CUDA device where there is one, else the CPU; or a
            device, which is checked.
        mps: whether the caller can use an Apple GPU.

    Raises:
        UsageError: it is not there, or no such name.
    """
    name = str(device)
    shown = f"device={name!r}"
    kinds = ("cpu", "cuda", "mps") if mps else ("cpu", "cuda")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == ALL_GPUS:
        raise UsageError(f"{shown} is for embed, which gives every GPU a process", shown)
    try:
        found = torch.device(name)
    except RuntimeError:
        found = None
    if found is None or found.type not in kinds:
        names = "auto, cpu, cuda, cuda:N or mps" if mps else "auto, cpu, cuda or cuda:N"
        raise UsageError(f"{shown}: give {names}", shown)
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        offered = counted(torch.cuda.device_count(), "CUDA device")
        raise UsageError(
            f"{shown}: this machine offers {offered}; try device='cpu'", shown, "device='cpu'"
        )
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            f"{shown}: this machine offers no Apple GPU; try device='cpu'", shown, "device='cpu'"
        )
    return found


def device_name(device: torch.device) -> str:
    """``cpu``, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
