"""Peaks of memory."""

import subprocess
import sys

import pytest
import torch

from facetool.profiling.memory import peak_gpu_memory, reset_peak_memory

CPU = torch.device("cpu")
SIZE = 200_000_000


# In a process of its own, which may give memory back.
PROGRAM = f"""
import numpy as np
import torch
from facetool.profiling.memory import peak_host_memory, reset_peak_memory

CPU = torch.device("cpu")
reset_peak_memory(CPU)
before = peak_host_memory()
block = np.ones({SIZE}, np.uint8)
del block
peak = peak_host_memory()
reset_peak_memory(CPU)
print(before, peak, peak_host_memory())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a peak be reset")
def test_a_peak_stays_until_it_is_reset() -> None:
    # By way of a shell: the system counts the memory of whoever starts a program as the program's.
    command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, PROGRAM]
    run = subprocess.run(command, capture_output=True, text=True)
    before, peak, after = map(int, run.stdout.split())
    assert before > 10_000_000
    assert peak >= before + 0.9 * SIZE
    assert after <= peak - 0.9 * SIZE


def test_the_cpu_has_no_gpu_memory() -> None:
    assert peak_gpu_memory(CPU) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu() -> None:
    device = torch.device("cuda")
    reset_peak_memory(device)
    torch.ones(SIZE, dtype=torch.uint8, device=device)
    assert SIZE <= (peak_gpu_memory(device) or 0) < 2 * SIZE
