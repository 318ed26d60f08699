"""Peaks of memory."""

import sys

import numpy as np
import pytest
import torch

from facetool.profiling.memory import peak_gpu_memory, peak_host_memory, reset_peak_memory

CPU = torch.device("cpu")
SIZE = 200_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a peak be reset")
def test_a_peak_stays_until_it_is_reset() -> None:
    reset_peak_memory(CPU)
    before = peak_host_memory()
    assert before is not None and before > 10_000_000
    block = np.ones(SIZE, np.uint8)
    del block
    peak = peak_host_memory()
    assert peak is not None and peak >= before + 0.9 * SIZE
    reset_peak_memory(CPU)
    after = peak_host_memory()
    assert after is not None and after <= peak - 0.9 * SIZE


def test_the_cpu_has_no_gpu_memory() -> None:
    assert peak_gpu_memory(CPU) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu() -> None:
    device = torch.device("cuda")
    reset_peak_memory(device)
    torch.ones(SIZE, dtype=torch.uint8, device=device)
    assert SIZE <= (peak_gpu_memory(device) or 0) < 2 * SIZE
