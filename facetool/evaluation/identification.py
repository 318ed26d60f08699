"""Identification among distractors, as MegaFace measures it (Kemelmacher-Shlizerman et al., 2016).

Every image of a probe's identity in the gallery in turn is its mate, alone among the
distractors. The mate's rank is 1 + the number of distractors that score higher, the score being
the cosine of two embeddings. Rank-k is the share of all (probe, mate) pairs whose rank is at
most k. Verification is measured on the same scores: (probe, mate) pairs are genuine, (probe,
distractor) pairs are impostors.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from facetool.evaluation.products import BLOCK, above, product_blocks, split_rows, workers
from facetool.evaluation.roc import TarAtFar

IDENTIFICATION_FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

KEPT_SCORES = 1 << 22
"""How many of the highest impostor scores are kept: the ROC curve is exact as far as they go."""

_SAMPLE = 1 << 18
"""Scores that tell where the highest ones will begin."""

_CURVE_POINTS = 200

_MODERATE = 1e6
"""Embeddings whose numbers lie between this and its inverse have squares to calculate with."""

_TIE = 1e-6
"""Cosines that differ by no more are equal: matrix products of different shapes round differently,
and a photo that is mate and distractor would beat itself on one processor and not on another."""


class NoMateError(ValueError):
    """No probe has an image of its identity in the gallery."""


@dataclass(frozen=True)
class Mates:
    """All (probe, mate) pairs, ordered by probe, then by score.

    Attributes:
        probes: int64 (K,), row of the probe.
        scores: float32 (K,), cosine.
    """

    probes: Tensor
    scores: Tensor

    def __len__(self) -> int:
        return len(self.probes)


def find_mates(
    probes: Tensor,
    identities: NDArray[np.int64],
    gallery: Tensor,
    gallery_identities: NDArray[np.int64],
    same_images: bool,
) -> Mates:
    """Pair each probe with every gallery image of its identity.

    Args:
        probes: float32 (P, D), unit length.
        identities: int64 (P,).
        gallery: float32 (G, D), unit length.
        gallery_identities: int64 (G,).
        same_images: probes and gallery are the same list, and no image is its own mate.
    """
    order = np.argsort(gallery_identities, kind="stable")
    ordered = gallery_identities[order]
    rows, scores = [], []
    for identity in np.unique(identities):
        own = np.flatnonzero(identities == identity)
        start, end = np.searchsorted(ordered, [identity, identity + 1])
        mates = order[start:end]
        cosines = probes[torch.from_numpy(own)] @ gallery[torch.from_numpy(mates)].T
        wanted = torch.ones(len(own), len(mates), dtype=torch.bool)
        if same_images:
            wanted = torch.from_numpy(own[:, None] != mates[None])
        wanted = wanted.to(cosines.device)
        rows.append(torch.from_numpy(own).to(cosines.device)[:, None].expand_as(wanted)[wanted])
        scores.append(cosines[wanted])
    all_rows, all_scores = torch.cat(rows), torch.cat(scores)
    by_probe = torch.argsort(_sort_keys(all_rows, all_scores))
    return Mates(all_rows[by_probe], all_scores[by_probe])


def _sort_keys(rows: Tensor, scores: Tensor) -> Tensor:
    """One integer per (row, score) that sorts as the two do: a float's bits, negatives turned."""
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 makes -0.0 the same number as 0.0
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (rows << 32) + ordered


class RankCounter:
    """Counts, for each (probe, mate) pair, the distractors that score higher. Safe in threads.

    Only a block of scores per thread is ever in memory. Of it only what is above the lowest
    mate of its probe, or among the highest impostor scores so far, is looked at one by one.

    Args:
        probes: float32 (P, D), unit length.
        identities: int64 (P,), or None where no distractor can be of a probe's identity.
        mates: on the same device.
        expected: how many impostor scores will come, those first being a random sample: probes are
            taken in random order, and so should distractors be.
        kept: how many of the highest impostor scores to keep, about.

    Attributes:
        distractors: seen so far.
        impostors: (probe, distractor) pairs seen so far.
    """

    def __init__(
        self,
        probes: Tensor,
        identities: Tensor | None,
        mates: Mates,
        expected: int,
        kept: int = KEPT_SCORES,
    ) -> None:
        self.distractors = 0
        self.impostors = 0
        # Those that lie side by side may be alike, and score higher than others.
        order = np.random.default_rng(0).permutation(len(probes))
        self._order = torch.from_numpy(order).to(probes.device)
        self._probes = product_blocks(probes[self._order])
        self._identities = None if identities is None else identities[self._order]
        self._expected = expected
        self._kept = kept
        beaten_from = mates.scores + _TIE
        self._keys = _sort_keys(mates.probes, beaten_from)
        per_probe = torch.bincount(mates.probes, minlength=len(probes))
        self._starts = per_probe.cumsum(0) - per_probe
        lowest = torch.full((len(probes),), torch.inf, device=probes.device)
        has_mate = per_probe > 0
        lowest[has_mate] = beaten_from[self._starts[has_mate]]
        self._lowest = lowest[self._order]
        # Differences of the counts along the ordered pairs; their running sum is the counts.
        self._steps = torch.zeros(len(mates) + 1, dtype=torch.int64, device=probes.device)
        self._lock = threading.Lock()
        self._top = [torch.empty(0, device=probes.device)]
        self._top_count = 0
        self._top_floor = -torch.inf

    def add(self, distractors: Tensor, identities: Tensor | None = None) -> None:
        """Count a block of distractors.

        Args:
            distractors: float32 (B, D), unit length.
            identities: int64 (B,); those of a probe's own identity do not count for it.
        """
        start = 0
        for probes in self._probes:
            scores = F.linear(probes, distractors).to_dense()
            pairs = scores.numel()
            if identities is not None and self._identities is not None:
                own = self._identities[start : start + len(scores), None] == identities
                pairs -= int(own.sum())
                scores.masked_fill_(own, -torch.inf)
            self._count(scores, start, pairs)
            start += len(scores)
        with self._lock:
            self.distractors += len(distractors)

    def _count(self, scores: Tensor, start: int, pairs: int) -> None:
        lowest = self._lowest[start : start + len(scores)]
        floor = self._top_floor
        places = above(scores, lowest.clamp(max=floor))
        values = scores.view(-1)[places]
        rows = places // scores.shape[1]
        highest = values[values > floor]

        passed = values > lowest[rows]
        rows, values = self._order[rows[passed] + start], values[passed]
        # A score that beats the first n mates of its probe raises their counts by one.
        beaten = torch.searchsorted(self._keys, _sort_keys(rows, values))
        size = len(self._steps)
        steps = torch.bincount(self._starts[rows], minlength=size)
        steps -= torch.bincount(beaten, minlength=size)
        with self._lock:
            self.impostors += pairs
            self._steps += steps
            self._keep(highest)

    def _keep(self, values: Tensor) -> None:
        """Add to the highest scores; once a sample is there, keep no more than will be wanted."""
        self._top.append(values)
        self._top_count += len(values)
        if self._top_count > 2 * self._kept:
            self._cut(self._kept)
        elif self._top_floor == -torch.inf and self.impostors >= _SAMPLE:
            share = min(1.0, 1.25 * self._kept / self._expected)
            if share < 1:
                self._cut(math.ceil(share * self._top_count))

    def _cut(self, count: int) -> None:
        top = torch.cat(self._top).topk(count, sorted=False).values
        self._top, self._top_count = [top], count
        self._top_floor = float(top.min())

    def ranks(self) -> Tensor:
        """Rank of the mate of each pair among the distractors so far, int64 (K,), from 1."""
        return self._steps.cumsum(0)[:-1] + 1

    def top_impostors(self) -> NDArray[np.float32]:
        """The highest impostor scores, falling; all of them where there are few."""
        return _falling(torch.cat(self._top))[: self._kept]


def _falling(scores: Tensor) -> NDArray[np.float32]:
    """Sorted by NumPy, which takes a tenth of PyTorch's time."""
    return np.ascontiguousarray(np.sort(scores.cpu().numpy())[::-1])


def nested_sets(count: int) -> list[NDArray[np.int64]]:
    """Sets of 10, 100, 1,000 … random distractors and of all, each holding those before.

    They are always the same.

    Args:
        count: of all distractors.

    Returns:
        For each set the distractors that the one before lacks, in rising order.
    """
    sizes = [10**power for power in range(1, 20) if 10**power < count] + [count]
    order = np.random.default_rng(0).permutation(count)
    return [np.sort(part) for part in np.split(order, sizes[:-1])]


@dataclass(frozen=True, eq=False)
class Identification:
    """The outcome.

    Attributes:
        pairs: number of (probe, mate) pairs.
        sizes: numbers of distractors, rising.
        cmc: float64 (S, k): share of the pairs with rank 1 … k, for each of ``sizes``.
        genuine: float32 (K,), scores of the (probe, mate) pairs, falling.
        top_impostors: float32, the highest scores of (probe, distractor) pairs, falling.
        impostors: number of (probe, distractor) pairs, those with lower scores included.
    """

    pairs: int
    sizes: list[int]
    cmc: NDArray[np.float64]
    genuine: NDArray[np.float32]
    top_impostors: NDArray[np.float32]
    impostors: int

    def tar_at_far(self) -> list[TarAtFar]:
        """True accept rate at those of ``IDENTIFICATION_FARS`` that can be measured.

        The highest at a false accept rate of at most the target, at the squared L2 distance
        2 - 2 cosine.
        """
        return [
            self._rate(target)
            for target in IDENTIFICATION_FARS
            if int(target * self.impostors + 1e-9) < len(self.top_impostors)
        ]

    def _rate(self, target: float) -> TarAtFar:
        threshold = self.top_impostors[int(target * self.impostors + 1e-9)]
        genuine = _count_above(self.genuine, threshold + _TIE)
        accepted = _count_above(self.top_impostors, threshold)
        return TarAtFar(
            target,
            genuine / len(self.genuine),
            None,
            accepted / self.impostors,
            2 - 2 * float(threshold),
            genuine,
            len(self.genuine),
            accepted,
            self.impostors,
        )

    def roc(self) -> tuple[list[float], list[float]]:
        """False and true accept rates at points spread evenly over the logarithm of the former."""
        last = len(self.top_impostors) - 1
        places = np.unique(np.geomspace(1, last + 1, _CURVE_POINTS).astype(int) - 1)
        thresholds = self.top_impostors[places]
        far = [_count_above(self.top_impostors, t) / self.impostors for t in thresholds]
        tar = [_count_above(self.genuine, t + _TIE) / len(self.genuine) for t in thresholds]
        if last + 1 == self.impostors:
            far, tar = [*far, 1.0], [*tar, 1.0]
        return far, tar


def _count_above(falling: NDArray[np.float32], threshold: float) -> int:
    return int(np.searchsorted(-falling, -threshold, side="left"))


def _unit_rows(rows: Tensor) -> Tensor:
    """Rows scaled to unit length; zero rows stay as they are."""
    largest = torch.linalg.vector_norm(rows, math.inf, dim=1, keepdim=True)
    odd = (largest > 0) & ((largest < 1 / _MODERATE) | (largest > _MODERATE))
    if odd.any():  # their squares might not be numbers of float32
        rows = rows / torch.where(odd, largest, 1.0)
    return F.normalize(rows)


def rank_mates(
    probes: NDArray[np.float32],
    identities: NDArray[np.int64],
    gallery: NDArray[np.float32],
    gallery_identities: NDArray[np.int64],
    distractors: Callable[[NDArray[np.int64]], NDArray[np.float32]] | None,
    sets: Sequence[NDArray[np.int64]],
    device: torch.device,
    ranks: int = 10,
    same_images: bool = False,
    advance: Callable[[int], object] = lambda count: None,
) -> Identification:
    """Rank every probe's mates among growing sets of distractors.

    Embeddings need not be of unit length. Scores are computed in float32.

    Args:
        probes: (P, D).
        identities: (P,).
        gallery: (G, D).
        gallery_identities: (G,).
        distractors: gives new arrays with the vectors (B, D) of any rows, in any thread; None
            where the gallery itself serves, the images of the probe's own identity left out.
        sets: what :func:`nested_sets` returns.
        device: where the products are computed.
        ranks: k of the highest rank to report.
        same_images: probes and gallery are the same list, and no image is its own mate.
        advance: told how many distractors have been counted.

    Raises:
        NoMateError: no probe has a mate.
    """
    unit_probes = _unit_rows(torch.from_numpy(probes).to(device))
    unit_gallery = _unit_rows(torch.from_numpy(gallery).to(device))
    mates = find_mates(unit_probes, identities, unit_gallery, gallery_identities, same_images)
    if not len(mates):
        raise NoMateError("no probe has a mate")
    expected = len(probes) * sum(len(added) for added in sets)
    of_probes = torch.from_numpy(identities).to(device)
    counter = RankCounter(unit_probes, of_probes, mates, expected)
    sizes: list[int] = []
    cmc: list[NDArray[np.float64]] = []

    def count(rows: NDArray[np.int64]) -> int:
        rows = np.sort(rows)
        if distractors is None:
            place = torch.from_numpy(rows).to(device)
            counter.add(unit_gallery[place], torch.from_numpy(gallery_identities[rows]).to(device))
        else:
            block = torch.from_numpy(distractors(rows)).to(device)
            counter.add(_unit_rows(block))
        return len(rows)

    random = np.random.default_rng(0)
    for added in sets:
        shuffled = random.permutation(added)
        with workers(device) as pool:
            for counted in pool.map(count, split_rows(shuffled, BLOCK[device.type][1])):
                advance(counted)
        sizes.append(counter.distractors)
        found = torch.bincount(counter.ranks().clamp(max=ranks + 1), minlength=ranks + 2)
        cmc.append((found[1 : ranks + 1].cumsum(0).double() / len(mates)).cpu().numpy())
    return Identification(
        len(mates),
        sizes,
        np.stack(cmc),
        _falling(mates.scores),
        counter.top_impostors(),
        counter.impostors,
    )
