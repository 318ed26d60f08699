"""Which faces are closer to each other than a distance, as a sparse graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from facetool.errors import UsageError
from facetool.evaluation.distances import Floats
from facetool.evaluation.products import BLOCK, above, product_blocks, workers
from facetool.files.text import counted
from facetool.jobs.memory import available_memory
from facetool.jobs.progress import progress_bar

BYTES_PER_PAIR = 80
"""What a pair takes while groups are made of it: 72 on all of LFW-a with 15 million pairs."""

_SHARE = 0.8
"""Of the memory that is available, what may be used."""

_SAMPLE = 256
"""Faces whose neighbours tell how many there will be."""

_BINS = 256

_DIFFERENCES = 1 << 21
"""Numbers of differences between vectors that a thread holds at once."""

_CPU = torch.device("cpu")


def neighbour_graph(vectors: Floats, distance: float, pairs: int | None = None) -> Any:
    """All pairs of rows that are closer than a distance.

    Products in float32, a block at a time, find the candidates; each is then measured in float64.

    Args:
        vectors: (N, D).
        distance: Euclidean, not squared.
        pairs: as many may be kept; default: as fit into the memory that is available.

    Returns:
        scipy.sparse.csr_array float64 (N, N), symmetric; zeros it stores are distances, too.

    Raises:
        UsageError: there are more pairs. A sample tells before the work starts, and gives a
            threshold that fits.
    """
    from scipy.sparse import coo_array

    search = _PairSearch(vectors, distance)
    memory = available_memory()
    if pairs is None and memory is not None:
        pairs = int(_SHARE * memory) // BYTES_PER_PAIR
    if pairs is not None:
        search.check(pairs)
    first, second, lengths = search.run()
    size = (len(vectors), len(vectors))
    both = np.concatenate([first, second]), np.concatenate([second, first])
    del first, second
    return coo_array((np.concatenate([lengths, lengths]), both), shape=size).tocsr()


class _PairSearch:
    """Looks at all pairs of vectors (N, D).

    The squared distance is ``|x|² + |y|² - 2 xy``. With -|y|²/2 as one more coordinate of y, and 1
    as that of x, the pair is close where the product is above a floor of x's own.
    """

    def __init__(self, vectors: Floats, distance: float) -> None:
        self._vectors = vectors
        self._distance = distance
        largest = float(np.abs(vectors).max(initial=0))
        # What float32 finds candidates among; squares of other numbers might be none of its own.
        self._scale = 1.0 if largest == 0 or 1e-6 < largest < 1e6 else largest
        if self._scale != 1:
            vectors, distance = vectors / self._scale, distance / self._scale
        norms = np.einsum("nd,nd->n", vectors, vectors)
        # Twice what rounding to float32 and a sum of so many terms can be wrong by.
        slack = (vectors.shape[1] + 8) * 2.0**-23 * float(norms.max(initial=0))
        self._slack = slack
        exact = np.ones((len(vectors), 1))
        self._probes = torch.from_numpy(np.hstack([vectors, exact]).astype(np.float32))
        self._others = torch.from_numpy(np.hstack([vectors, -norms[:, None] / 2]).astype("f4"))
        self._norms = norms
        self._floors = torch.from_numpy(((norms - distance**2) / 2 - slack).astype(np.float32))
        self._kept = 0
        self._most: int | None = None

    def check(self, most: int) -> None:
        """Refuse to start where a sample says that there are more pairs than ``most``."""
        self._most = most
        count = len(self._vectors)
        if count * (count - 1) // 2 <= most:
            return
        found, edges = self._histogram()
        if found.sum() > most:
            fitting = np.flatnonzero(np.cumsum(found) <= 0.8 * most)
            raise self._too_many(found.sum(), float(edges[fitting[-1] + 1]) if len(fitting) else 0)

    def _histogram(self) -> tuple[Floats, Floats]:
        """About how many pairs there are at each squared distance, by a sample's."""
        count = len(self._vectors)
        some = np.sort(np.random.default_rng(0).permutation(count)[:_SAMPLE])
        probes, norms = self._probes[some], self._norms[some]
        edges = np.linspace(0, self._distance**2, _BINS + 1)
        found = np.zeros(_BINS)
        for start in range(0, count, BLOCK["cpu"][1]):
            scores = F.linear(probes, self._others[start : start + BLOCK["cpu"][1]]).numpy()
            squares = np.maximum(norms[:, None] - 2 * scores.astype(np.float64), 0)
            found += np.histogram(squares * self._scale**2, edges)[0]
        found[0] = max(0, found[0] - len(some))  # each is close to itself
        return found * count / len(some) / 2, edges

    def _too_many(self, pairs: float, fitting: float) -> UsageError:
        most = self._most or 0
        lower = f"threshold={fitting:.3f}" if fitting else "threshold=X"
        return UsageError(
            f"about {pairs:,.0f} pairs of {counted(len(self._vectors), 'face')} are closer than "
            f"{self._distance**2:g}, of which {most:,} fit into memory ({BYTES_PER_PAIR} bytes "
            f"each): among so many faces that is no longer one person; give a lower {lower}",
            lower,
        )

    def run(self) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """The two rows (E) of each close pair, and their distance (E)."""
        count, width = len(self._vectors), BLOCK["cpu"][1]
        blocks = product_blocks(self._probes)
        found = []
        with progress_bar("compare", count) as bar, workers(_CPU) as pool:
            starts = range(0, count, width)
            for start, pairs in zip(
                starts, pool.map(lambda start: self._pairs(blocks, start), starts), strict=True
            ):
                found.append(pairs)
                self._kept += len(pairs[0])
                if self._most is not None and self._kept > self._most:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise self._too_many(self._kept * (count / (start + width)) ** 2, 0)
                bar.update(min(width, count - start))
        first, second, lengths = zip(*found, strict=True)
        return np.concatenate(first), np.concatenate(second), np.concatenate(lengths)

    def _pairs(
        self, blocks: Any, start: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """Those of a block of rows with themselves and with all before."""
        step = BLOCK["cpu"][0]
        others = self._others[start : start + BLOCK["cpu"][1]]
        found = []
        for place, block in zip(range(0, start + len(others), step), blocks, strict=False):
            scores = F.linear(block, others).to_dense()
            places = above(scores, self._floors[place : place + len(scores)]).numpy()
            rows, columns = place + places // len(others), start + places % len(others)
            if place + step > start:
                later = rows < columns
                rows, columns = rows[later], columns[later]
            lengths = self._lengths(rows, columns)
            close = lengths < self._distance
            rows, columns, lengths = rows[close], columns[close], lengths[close]
            found.append((rows.astype(np.int32), columns.astype(np.int32), lengths))
        first, second, distances = zip(*found, strict=True)
        return np.concatenate(first), np.concatenate(second), np.concatenate(distances)

    def _lengths(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        some = max(1, _DIFFERENCES // self._vectors.shape[1])
        lengths = np.empty(len(rows))
        for start in range(0, len(rows), some):
            part = slice(start, start + some)
            difference = self._vectors[rows[part]] - self._vectors[columns[part]]
            lengths[part] = np.sqrt(np.einsum("nd,nd->n", difference, difference))
        return lengths
