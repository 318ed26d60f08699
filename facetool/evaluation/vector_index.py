"""The nearest of millions of embeddings to one by a graph on disk: not all of them are looked at.

The graph is that of usearch (hierarchical navigable small worlds: Malkov and Yashunin, 2016), its
vectors in 16 bits. It gives candidates; their distances are then measured exactly. What it misses
is measured when it is built: embeddings of the folder itself are searched for, by the graph and by
comparing all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError, OutputError, UsageError, one_line
from facetool.evaluation.distances import Floats, normalize
from facetool.evaluation.nearest import nearest_rows, products_and_norms
from facetool.files.atomic import atomic_write
from facetool.files.embeddings import check_finite_rows
from facetool.files.embeddings_writer import LABELS_CSV, REPS_NPY
from facetool.files.json_file import read_json, write_json
from facetool.files.text import counted
from facetool.jobs.memory import available_memory
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import progress_bar

INDEX, DESCRIPTION = "search.usearch", "search.json"

CANDIDATES = 10
"""For each face that is wanted, how many of the graph are measured."""

_FEWEST = 100
_LINKS = 16
_EFFORT_TO_BUILD = 128
_EFFORT = 256
_ROWS = 1 << 14
"""Embeddings added at a time."""

_QUERIES = 200
_QUERIED = 20
"""Embeddings of the folder that recall is measured by, and how many neighbours of each."""

_OF_A_NODE = 8 * _LINKS + 40
"""Bytes of the graph for each embedding, beside the embedding itself: twice the links, 4 each."""


@dataclass(frozen=True, kw_only=True)
class IndexDescription:
    """What a graph was built of; another one is built where this is no longer so.

    Attributes:
        embeddings: size in bytes and time in nanoseconds of ``reps.npy``.
        labels: the same of ``labels.csv``.
        unit_length: whether embeddings were scaled to unit length.
        left_out: how many embeddings are not in it, whose face was missed.
        size: of the graph's file, in bytes.
        recall: share of the 20 nearest that it finds.
        usearch: version that built it.
    """

    embeddings: tuple[int, int]
    labels: tuple[int, int]
    unit_length: bool
    left_out: int
    size: int
    recall: float
    usearch: str


class VectorIndex:
    """The graph beside a represent folder's embeddings, built if it is not there or out of date.

    Args:
        folder: the represent folder.
        vectors: float32 (N, D), its ``reps.npy``; may be a mapped file.
        kept: bool (N,), which of them may be found.
        unit_length: whether embeddings are compared at unit length.

    Raises:
        UsageError: usearch is not installed, or the graph does not fit into memory.
        FormatError: an embedding is not finite.
        OutputError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        vectors: NDArray[np.float32],
        kept: NDArray[np.bool_],
        *,
        unit_length: bool,
    ) -> None:
        self._index, self._version = _usearch()
        self._folder, self._vectors, self._unit_length = folder, vectors, unit_length
        self._kept = kept
        state = {
            "embeddings": _state(folder / REPS_NPY),
            "labels": _state(folder / LABELS_CSV),
            "unit_length": unit_length,
            "left_out": int((~kept).sum()),
        }
        known = _read(folder)
        if known is None or any(getattr(known, name) != value for name, value in state.items()):
            self.recall = self._build(state)
        else:
            self._graph = self._open()
            self.recall = known.recall

    def nearest(self, probe: Floats, count: int) -> tuple[NDArray[np.int64], Floats]:
        """Rows and squared L2 of about the nearest, as :func:`nearest_rows` gives them.

        Args:
            probe: (D,), prepared as the network compares.
            count: how many to find.
        """
        wanted = max(_FEWEST, CANDIDATES * count)
        self._graph.expansion_search = max(_EFFORT, wanted)
        found = self._graph.search(probe.astype(np.float32), wanted)
        rows = np.sort(np.asarray(found.keys).astype(np.int64))
        near, distances = nearest_rows(
            probe, np.asarray(self._vectors[rows], np.float32), count, unit_length=self._unit_length
        )
        return rows[near], distances

    def _build(self, state: dict[str, Any]) -> float:
        """Build, open and describe the graph; its recall."""
        (self._folder / DESCRIPTION).unlink(missing_ok=True)
        rows = np.flatnonzero(self._kept)
        size = self._vectors.shape[1]
        memory, needed = available_memory(), len(rows) * (2 * size + _OF_A_NODE)
        if memory is not None and needed > memory:
            raise UsageError(
                f"an index of {counted(len(rows), 'embedding')} takes {needed / 1e9:.1f} GB of "
                f"memory while it is built, and {memory / 1e9:.1f} GB are free; leave index out",
                "index",
            )
        graph = self._index(
            ndim=size,
            metric="ip" if self._unit_length else "l2sq",
            dtype="f16",
            connectivity=_LINKS,
            expansion_add=_EFFORT_TO_BUILD,
        )
        with progress_bar("index", len(rows)) as bar:
            for start in range(0, len(rows), _ROWS):
                some = rows[start : start + _ROWS]
                block = np.asarray(self._vectors[some], np.float32)
                check_finite_rows(self._folder / REPS_NPY, block, some)
                if self._unit_length:
                    block = normalize(block).astype(np.float32)
                graph.add(some, np.ascontiguousarray(block), threads=available_cores())
                bar.update(len(some))
        with atomic_write(self._folder / INDEX) as file:
            try:
                graph.save(file.name)
            except RuntimeError as error:
                raise OutputError(
                    f"cannot write {self._folder / INDEX}: {one_line(error)}"
                ) from error
        del graph
        self._graph = self._open()
        described = IndexDescription(
            **state,
            size=(self._folder / INDEX).stat().st_size,
            recall=self._measure(rows),
            usearch=self._version,
        )
        write_json(self._folder / DESCRIPTION, asdict(described))
        return described.recall

    def _open(self) -> Any:
        path = self._folder / INDEX
        try:
            return self._index.restore(str(path), view=True)
        except (ValueError, RuntimeError) as error:
            raise FormatError(
                f"{path}: damaged ({one_line(error)}); remove it, and it is built again"
            ) from error

    def _measure(self, rows: NDArray[np.int64]) -> float:
        """Recall by embeddings of the folder itself, which are their own nearest."""
        queries = np.sort(np.random.default_rng(0).permutation(rows)[:_QUERIES])
        probes = self._vectors[queries].astype(np.float64)
        if self._unit_length:
            probes = normalize(probes)
        hits = total = 0
        for probe, candidates in zip(probes, self._exact(probes), strict=True):
            near = np.asarray(self._vectors[candidates], np.float32)
            _, lengths = nearest_rows(probe, near, _QUERIED, unit_length=self._unit_length)
            _, found = self.nearest(probe, _QUERIED)
            hits += int((found <= lengths[-1]).sum())  # of equal ones any will do
            total += len(lengths)
        return hits / total if total else 1.0

    def _exact(self, probes: Floats) -> NDArray[np.int64]:
        """Candidates (Q, C) for the nearest of all, by products in float32."""
        wanted = min(2 * _QUERIED, int(self._kept.sum()))
        best = np.full((len(probes), 0), -np.inf)
        rows = np.empty((len(probes), 0), np.int64)
        with progress_bar("recall", len(self._vectors)) as bar:
            for start in range(0, len(self._vectors), _ROWS):
                block = np.asarray(self._vectors[start : start + _ROWS], np.float32)
                products, norms = products_and_norms(block, probes.T)
                if self._unit_length:
                    products /= np.sqrt(np.where(norms == 0, 1, norms))[:, None]
                else:
                    products -= norms[:, None] / 2
                products[~self._kept[start : start + _ROWS]] = -np.inf
                best = np.hstack([best, products.T])
                numbers = np.arange(start, start + len(block))
                rows = np.hstack([rows, np.broadcast_to(numbers, products.T.shape)])
                if best.shape[1] > wanted:
                    kept = np.argpartition(-best, wanted - 1, axis=1)[:, :wanted]
                    best = np.take_along_axis(best, kept, 1)
                    rows = np.take_along_axis(rows, kept, 1)
                bar.update(len(block))
        return np.sort(rows, axis=1)


def _usearch() -> tuple[Any, str]:
    """Its index class, and its version."""
    try:
        import usearch
        from usearch.index import Index
    except ImportError:
        raise UsageError(
            "an index for search needs usearch: pip install 'facetool[index]', or leave index out",
            "index",
        ) from None
    return Index, usearch.__version__


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _read(folder: Path) -> IndexDescription | None:
    """What the graph says of itself; None where it is not there, cut off, or of another version."""
    try:
        values = read_json(folder / DESCRIPTION)
        described = IndexDescription(
            **{
                **values,
                "embeddings": tuple(values["embeddings"]),
                "labels": tuple(values["labels"]),
            }
        )
        whole = (folder / INDEX).stat().st_size == described.size
    except (OSError, FormatError, KeyError, TypeError):
        return None
    return described if whole else None
