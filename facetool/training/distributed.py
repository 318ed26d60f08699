"""Which process of a run this is: one of those that torchrun started, or the only one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed as dist

from facetool.errors import UsageError

_PATIENCE = timedelta(hours=2)
"""Longer than the first process may spend on an evaluation while the others wait for it."""


@dataclass(frozen=True)
class Process:
    """One process of a run.

    Attributes:
        device: where its part of the work runs.
        rank: its number, 0 … ``size`` - 1; 0 writes the files.
        size: number of processes.
        control: group for short messages between main memories, None when alone.
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    control: Any = None

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` holds in any process. Every process must ask."""
        if self.size == 1:
            return flag
        tensor = torch.tensor([int(flag)])
        dist.all_reduce(tensor, dist.ReduceOp.MAX, group=self.control)
        return bool(tensor.item())

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes of a tensor in main memory. Every process must ask."""
        if self.size > 1:
            dist.all_reduce(values, group=self.control)
        return values

    def gather(self, value: object) -> list[Any]:
        """The values of all processes, by rank; empty but in the first. Every process must ask."""
        if self.size == 1:
            return [value]
        gathered: list[Any] = [None] * self.size if self.first else []
        dist.gather_object(value, gathered or None, group=self.control)
        return gathered


@contextmanager
def init_distributed(device: torch.device) -> Iterator[Process]:
    """Join the processes that torchrun started, by its environment variables, or run alone.

    On CUDA each process takes the GPU of its local rank and speaks NCCL, on the CPU gloo.

    Args:
        device: what the user chose.

    Raises:
        UsageError: there are more processes on this machine than GPUs, or one is named.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Process(device)
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        if device.index is not None:
            raise UsageError(
                "torchrun hands out the GPUs: give device='cuda', without a number", "device='cuda'"
            )
        if local >= torch.cuda.device_count():
            raise UsageError(
                f"process {local} has no GPU: {torch.cuda.device_count()} are here; "
                "give torchrun a smaller --nproc-per-node"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Process(device, rank, size, dist.new_group(backend="gloo", timeout=_PATIENCE))
    finally:
        dist.destroy_process_group()
