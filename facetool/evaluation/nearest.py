"""The nearest of many embeddings to one, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.evaluation.distances import Floats, normalize, squared_l2

_BLOCK = 1 << 16
"""Embeddings that are compared at once."""

_SPARE = 32
"""How many more are measured in float64 than asked for: float32 may exchange near equals."""


def nearest_rows(
    probe: Floats, gallery: NDArray[np.float32], count: int, *, unit_length: bool
) -> tuple[NDArray[np.int64], Floats]:
    """The rows that are nearest to an embedding, and their squared L2, nearest first.

    A product in float32 finds the candidates, which are then measured in float64. Rows at the
    same distance come in the order of the gallery; but where more than ``_SPARE`` others are as
    near as the last, any of them may be left out.

    Args:
        probe: (D,), prepared as the network compares.
        gallery: (N, D) as the network gives them; may be a mapped file.
        count: how many to find.
        unit_length: scale the gallery to unit length.
    """
    wanted = min(count + _SPARE, len(gallery))
    if wanted < 1:
        return np.empty(0, np.int64), np.empty(0)
    best = np.empty(len(gallery))
    for start in range(0, len(gallery), _BLOCK):
        block = gallery[start : start + _BLOCK]
        products, norms = products_and_norms(block, probe)
        if unit_length:
            products /= np.sqrt(np.where(norms == 0, 1, norms))
        else:
            products -= norms / 2
        best[start : start + _BLOCK] = products
    rows = np.sort(np.argpartition(-best, wanted - 1)[:wanted])
    found = gallery[rows].astype(np.float64)
    found = normalize(found) if unit_length else found
    distances = squared_l2(np.broadcast_to(probe, found.shape), found)
    order = np.argsort(distances, kind="stable")[:count]
    return rows[order], distances[order]


def products_and_norms(block: NDArray[np.float32], probes: Floats) -> tuple[Any, Any]:
    """Products of rows with probes, and the rows' squared lengths, in float32 if it has them.

    Args:
        block: (N, D).
        probes: (D,) or (D, P).
    """
    norms = np.einsum("nd,nd->n", block, block)
    squares = np.concatenate([norms, np.square(probes).sum(axis=0).ravel()])
    if ((squares > 1e-30) & (squares < 1e30)).all():
        return block @ probes.astype(np.float32), norms
    exact = block.astype(np.float64)
    return exact @ probes, np.einsum("nd,nd->n", exact, exact)
