"""Average linkage below a distance, in memory for the close pairs only.

Two groups are joined while the mean distance over all pairs of their members is the lowest and
below a limit. Such a mean has at least one close pair below it, so only groups that share one are
looked at; of the other pairs between two groups it is enough to know that none is shorter than the
limit. That gives a lower bound of the mean, and where the bound does not decide, the pairs are
measured. The order of the joins is that of nearest-neighbour chains (Benzécri, 1982; Murtagh,
1983): two groups that are each other's nearest are joined, which gives the groups of the usual
method, whose matrix of all distances takes 8 N² bytes. Where distances are equal to the last digit
the outcome of either depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.classification.fit import Labels
from facetool.evaluation.distances import Floats
from facetool.jobs.progress import progress_bar

_MEASURED = 1 << 21
"""Distances that are in memory at once."""

_BATCH = 4
"""Groups that are measured at first; then four times as many each time."""


class _Near(NamedTuple):
    """The groups with a pair close to one group.

    Attributes:
        groups: (K,) as they were when last looked at.
        sums: (K,) of the known distances.
        known: (K,) how many are known; the others are not below the limit.
    """

    groups: NDArray[Any]
    sums: Floats
    known: Floats


def average_linkage(vectors: Floats, graph: Any, limit: float, given: Labels) -> Labels:
    """Groups whose members are on average less than ``limit`` apart.

    Args:
        vectors: (N, D).
        graph: what :func:`facetool.classification.neighbours.neighbour_graph` returns for them
            and ``limit``.
        limit: Euclidean distance.
        given: (N,) numbers of groups that are fixed, -1 for none: their members stay together,
            and never come together with those of another.

    Returns:
        (N,), for each row a member of its group, the same for all of them.
    """
    linkage = _Linkage(vectors, graph, limit)
    order = np.argsort(given, kind="stable")
    starts = np.flatnonzero(np.diff(given[order], prepend=-1))
    for members in np.split(order, starts)[1:]:
        linkage.fix(members)
    with progress_bar("cluster", len(vectors)) as bar:
        for row in np.flatnonzero(np.diff(graph.indptr)):
            linkage.follow(int(row))
            bar.update(int(row) + 1 - linkage.told)
            linkage.told = int(row) + 1
    return linkage.owner


class _Linkage:
    """The groups so far. A group goes by the row of one of its members.

    Attributes:
        owner: (N,) group of each row.
        told: rows that progress was told of.
    """

    def __init__(self, vectors: Floats, graph: Any, limit: float) -> None:
        self._vectors, self._graph, self._limit = vectors, graph, limit
        count = len(vectors)
        self.owner: Labels = np.arange(count)
        self.told = 0
        self._sizes = np.ones(count, np.int64)
        self._fixed = np.zeros(count, bool)
        self._finished = np.zeros(count, bool)
        self._members: dict[int, NDArray[np.int64]] = {}
        self._near: dict[int, _Near] = {}

    def fix(self, members: NDArray[np.int64]) -> None:
        """Make a group that is given."""
        self._fixed[self._join(members.tolist())] = True

    def follow(self, row: int) -> None:
        """Join all that can be reached from a row by a chain of nearest neighbours."""
        if self.owner[row] != row or self._finished[row]:
            return
        chain, lengths = [row], [self._limit]
        while True:
            before = chain[-2] if len(chain) > 1 else None
            nearest, length = self._nearest(chain[-1], before, lengths[-1])
            if nearest is not None:
                chain.append(nearest)
                lengths.append(length)
            elif len(chain) > 1:  # none is nearer than the one before: they are a pair
                del lengths[-2:]
                joined = self._join([chain.pop(), chain.pop()])
                if not chain:
                    chain, lengths = [joined], [self._limit]
            else:
                self._finished[chain[0]] = True
                return

    def _nearest(self, group: int, before: int | None, limit: float) -> tuple[int | None, float]:
        """The nearest group whose mean distance is below ``limit``, or None.

        That of the one ``before`` in the chain is the limit, and a last digit may differ where it
        is summed from the other side.
        """
        near = self._look(group)
        if not len(near.groups):
            return None, limit
        pairs = (self._sizes[group] * self._sizes[near.groups]).astype(np.float64)
        bounds = (near.sums + (pairs - near.known) * self._limit) / pairs
        bounds[near.groups == before] = np.inf
        batch = _BATCH
        while True:
            best = int(bounds.argmin())
            if bounds[best] >= limit:
                return None, limit
            if near.known[best] == pairs[best]:
                return int(near.groups[best]), float(bounds[best])
            open_ones = np.flatnonzero((near.known < pairs) & (bounds < limit))
            if len(open_ones) > batch:
                open_ones = open_ones[np.argpartition(bounds[open_ones], batch)[:batch]]
            batch *= 4
            near.sums[open_ones] = self._measure(group, near.groups[open_ones].tolist())
            near.known[open_ones] = pairs[open_ones]
            bounds[open_ones] = near.sums[open_ones] / pairs[open_ones]

    def _look(self, group: int) -> _Near:
        """Brings the groups near to one up to date with what has been joined since."""
        near = self._near.get(group)
        if near is None:
            own = slice(self._graph.indptr[group], self._graph.indptr[group + 1])
            sums = self._graph.data[own].copy()
            near = _Near(self._graph.indices[own], sums, np.ones(len(sums)))
        now = self.owner[near.groups]
        if (now != near.groups).any():
            near = _added(now, near.sums, near.known)
        if self._fixed[group] and (fixed := self._fixed[near.groups]).any():
            near = _Near(*(values[~fixed] for values in near))
        self._near[group] = near
        return near

    def _join(self, groups: Sequence[int]) -> int:
        """Make one group of several; it goes by the largest one's row."""
        kept = max(groups, key=lambda group: int(self._sizes[group]))
        lists = [self._look(group) for group in groups]
        near = _added(*(np.concatenate(values) for values in zip(*lists, strict=True)))
        outside = ~np.isin(near.groups, groups)
        self._members[kept] = np.concatenate([self._rows(group) for group in groups])
        self._sizes[kept] = len(self._members[kept])
        self._fixed[kept] = self._fixed[groups].any()
        for group in groups:
            del self._near[group]
            if group != kept:
                self.owner[self._rows(group)] = kept
                self._members.pop(group, None)
        self._near[kept] = _Near(*(values[outside] for values in near))
        return kept

    def _rows(self, group: int) -> NDArray[np.int64]:
        found = self._members.get(group)
        return np.array([group]) if found is None else found

    def _measure(self, group: int, others: Sequence[int]) -> Floats:
        """The sum of the distances between all members of a group and of each other one."""
        from scipy.spatial.distance import cdist

        own = self._vectors[self._rows(group)]
        members = [self._rows(other) for other in others]
        starts = np.cumsum([0, *map(len, members[:-1])])
        rows = np.concatenate(members)
        sums = np.zeros(len(rows))
        step = max(1, _MEASURED // len(own))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            sums[part] = cdist(own, self._vectors[rows[part]]).sum(axis=0)
        return np.asarray(np.add.reduceat(sums, starts))


def _added(groups: NDArray[Any], sums: Floats, known: Floats) -> _Near:
    """One entry per group."""
    unique, places = np.unique(groups, return_inverse=True)
    of_groups: tuple[Floats, ...] = tuple(
        np.bincount(places, values, len(unique)).astype(np.float64) for values in (sums, known)
    )
    return _Near(unique, *of_groups)
