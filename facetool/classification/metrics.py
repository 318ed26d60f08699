"""Metrics of identification with strangers: DIR at FPIR."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.evaluation.distances import Floats

FPIRS = (0.001, 0.01, 0.1)


def dir_at_fpir(
    similarity: Floats, right: NDArray[np.bool_], strangers: Floats, fpir: float
) -> Any:
    """Detection and identification rate of rank 1 where at most a share of the strangers is named.

    The threshold is the lowest at which no more than ``fpir`` of the strangers' similarities reach
    it (ISO/IEC 19795-1's terms).

    Args:
        similarity: (K,) of the faces of known people to the person they are taken for.
        right: (K,) whether that is who they are.
        strangers: (S,) of strangers' faces.
        fpir: 0…1.

    Returns:
        JSON values ``fpir`` (the target), ``threshold``, ``strangers_named`` (a count), ``dir``
        and ``measurable``: whether there are enough strangers to measure that rate.
    """
    allowed = int(np.floor(fpir * len(strangers) + 1e-9))
    ordered = np.sort(strangers)[::-1]
    threshold = np.nextafter(ordered[allowed], np.inf) if allowed < len(ordered) else -1.0
    return {
        "fpir": fpir,
        "threshold": float(threshold),
        "strangers_named": int((strangers >= threshold).sum()),
        "dir": float((right & (similarity >= threshold)).mean()),
        "measurable": allowed >= 1,
    }
