"""Products of all embeddings of one list with all of another, a block at a time, on every core.

Whatever looks at each pair of many faces goes through them: identification, search, clustering.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = {"cpu": (1024, 1024), "cuda": (4096, 32768)}
"""Rows of the one list and of the other whose scores are in memory at once; on a CPU, in its
cache."""


def product_blocks(probes: Tensor) -> Sequence[Tensor]:
    """Blocks of the one list (P, D), on a CPU in the layout of oneDNN.

    On AMD's processors that library alone uses AVX-512: PyTorch's own products, by MKL, and
    NumPy's, by OpenBLAS, take twice the time.
    """
    step = BLOCK[probes.device.type][0]
    blocks = [probes[start : start + step] for start in range(0, len(probes), step)]
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if probes.device.type == "cpu" and onednn:
        return [block.to_mkldnn() for block in blocks]
    return blocks


def above(scores: Tensor, floor: Tensor) -> Tensor:
    """Flat places of the scores (R, C) above their row's floor (R,)."""
    if scores.device.type == "cpu":  # NumPy takes half the time of one thread of PyTorch
        mask = np.greater(scores.numpy(), floor.numpy()[:, None])
        return torch.from_numpy(np.flatnonzero(mask))
    return (scores > floor[:, None]).view(-1).nonzero().squeeze(1)


@contextmanager
def workers(device: torch.device) -> Iterator[ThreadPoolExecutor]:
    """A thread per core with a block of its own: no core waits for another, as within a product.

    A GPU is kept busy by one.
    """
    if device.type != "cpu":
        with ThreadPoolExecutor(1) as pool:
            yield pool
        return
    cores = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(cores)


def split_rows(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers, some at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
