"""Non-maximum suppression of boxes, for many images at once."""

from __future__ import annotations

import torch
from torch import Tensor

_PAIRS = {"cpu": 2**17, "cuda": 2**24}
"""Pairs of boxes compared in one step: few enough to stay in a processor's cache."""


def suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, by_smaller: bool = False
) -> Tensor:
    """Leave out every box that overlaps too much with a better one of its group.

    As in the package ``mtcnn`` a better box counts even where it is itself left out, so that all
    pairs are judged at once.

    Args:
        boxes: (N, 4) as left, top, right, bottom.
        scores: (N,).
        groups: int64 (N,); boxes of different groups do not see each other.
        threshold: share of overlap above which the worse box goes.
        by_smaller: overlap as a share of the smaller area instead of the union.

    Returns:
        Indices of the boxes that stay, by group, then best score first.
    """
    # float32 rounds many scores to 1. The package sorts them upwards and reads from the end, so
    # among equals the last comes first.
    order = len(scores) - 1 - scores.flip(0).argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]
    _, group, counts = torch.unique_consecutive(
        groups[order], return_inverse=True, return_counts=True
    )
    # Groups of similar size are compared side by side, padded with boxes without area.
    by_size = counts.argsort(descending=True, stable=True)
    place = torch.empty_like(by_size)
    place[by_size] = torch.arange(len(by_size), device=boxes.device)
    rank = torch.arange(len(order), device=boxes.device) - (counts.cumsum(0) - counts)[group]
    sizes = counts[by_size].tolist()
    slot = place[group]
    gone = torch.zeros(len(order), dtype=torch.bool, device=boxes.device)
    first = 0
    while first < len(sizes) and sizes[first] > 1:
        last = first + max(1, _PAIRS[boxes.device.type] // sizes[first] ** 2)
        here = ((slot >= first) & (slot < last)).nonzero().squeeze(1)
        where = slot[here] - first, rank[here]
        padded = boxes.new_zeros(min(last, len(sizes)) - first, sizes[first], 4)
        padded[where] = boxes[order[here]]
        gone[here] = _overlapped(padded, threshold, by_smaller)[where]
        first = last
    return order[~gone]


def _overlapped(boxes: Tensor, threshold: float, by_smaller: bool) -> Tensor:
    """Which of (G, N, 4) boxes overlap too much with an earlier one of their row: (G, N)."""
    groups, count, _ = boxes.shape
    areas = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    left, top, right, bottom = boxes.unbind(-1)
    gone = torch.zeros(groups, count, dtype=torch.bool, device=boxes.device)
    step = max(1, _PAIRS[boxes.device.type] // (groups * count))
    for start in range(0, count, step):
        better = (slice(None), slice(start, start + step), None)
        worse = (slice(None), None, slice(start, None))
        width = torch.minimum(right[better], right[worse]) - torch.maximum(
            left[better], left[worse]
        )
        height = torch.minimum(bottom[better], bottom[worse]) - torch.maximum(
            top[better], top[worse]
        )
        shared = width.clamp_(min=0).mul_(height.clamp_(min=0))
        if by_smaller:
            whole = torch.minimum(areas[better], areas[worse])
        else:
            whole = (areas[better] + areas[worse]).sub_(shared)
        gone[:, start:] |= (shared > threshold * whole).triu_(1).any(1)
    return gone
