"""What times were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

_BUSY = 0.5
"""Load per core above which others take a noticeable part of the time."""


@dataclass(frozen=True)
class Machine:
    """Hardware and software, and how busy they were just before.

    Attributes:
        cpu: model.
        cores: of the machine.
        threads: that PyTorch computes with on the CPU.
        gpus: model of each.
        load: processes that wanted a core in the last minute; None on systems that do not tell.
        pytorch: version.
    """

    cpu: str
    cores: int
    threads: int
    gpus: tuple[str, ...]
    load: float | None
    pytorch: str

    @property
    def busy(self) -> bool:
        """Whether times taken now would be too long."""
        return self.load is not None and self.load > _BUSY * self.cores

    def device_name(self, device: torch.device) -> str:
        """The hardware behind a device."""
        return self.gpus[device.index or 0] if device.type == "cuda" else self.cpu

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "gpus": list(self.gpus)}

    def __str__(self) -> str:
        gpus = "".join(f"; {name}" for name in self.gpus)
        load = "" if self.load is None else f"; load {self.load:.1f} before"
        return (
            f"{self.cpu}, {self.cores} cores{gpus}; "
            f"PyTorch {self.pytorch}, threads: {self.threads}{load}"
        )


def this_machine() -> Machine:
    """The machine this runs on, as it is now."""
    return Machine(
        _cpu_model(),
        os.cpu_count() or 1,
        torch.get_num_threads(),
        tuple(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())),
        os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        str(torch.__version__),
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
