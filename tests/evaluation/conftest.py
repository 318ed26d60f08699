"""Synthetic pairs, hard enough that every figure lies inside its range."""

from dataclasses import dataclass

import numpy as np
import pytest

from facetool.evaluation.distances import normalize
from facetool.evaluation.pairs import Trials


@dataclass(frozen=True)
class Synthetic:
    first: np.ndarray
    second: np.ndarray
    trials: Trials


@pytest.fixture(scope="session")
def synthetic() -> Synthetic:
    """600 pairs in 10 folds, unit vectors of 16 dimensions."""
    rng = np.random.default_rng(3)
    same = np.tile(np.repeat([True, False], 30), 10)
    first = rng.normal(size=(600, 16))
    second = np.where(same[:, None], first + 1.3 * rng.normal(size=(600, 16)), 0)
    second[~same] = rng.normal(size=(300, 16))
    return Synthetic(normalize(first), normalize(second), Trials.in_order(same))
