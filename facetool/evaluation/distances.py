"""Distances between paired embeddings, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facetool.errors import FacetoolError

Floats = NDArray[np.float64]


def squared_l2(first: ArrayLike, second: ArrayLike) -> Floats:
    """Squared Euclidean distance of each pair of rows: (N, D) and (N, D) to (N,)."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return np.asarray(np.square(difference).sum(axis=1))


def arccos_distance(first: ArrayLike, second: ArrayLike) -> Floats:
    """Angle of each pair of rows as a share of a half turn: arccos(cosine) / π, 0 … 1.

    (N, D) and (N, D) to (N,). A zero vector is at a right angle to everything.
    """
    cosine = np.einsum("nd,nd->n", normalize(first), normalize(second))
    return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi)


def normalize(vectors: ArrayLike) -> Floats:
    """Rows scaled to unit Euclidean length, (N, D); zero rows stay as they are."""
    rows = np.asarray(vectors, np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms == 0, 1.0, norms))


def check_distinct(vectors: NDArray[np.floating[Any]], source: object) -> None:
    """Refuse embeddings (N, D) of which no two differ: whatever is measured on them means nothing.

    Args:
        vectors: two or more.
        source: whose they are, for the message.

    Raises:
        FacetoolError: they are all the same, such as zero.
    """
    if len(vectors) > 1 and all(np.array_equal(one, vectors[0]) for one in vectors[1:]):
        raise FacetoolError(f"all embeddings in {source} are the same: nothing can be measured")
