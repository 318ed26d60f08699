from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Draw = Callable[..., tuple[NDArray[np.float64], NDArray[np.int64]]]


@pytest.fixture
def draw() -> Draw:
    """Embeddings of people on the unit sphere: a centre each, and images scattered around it."""

    def draw_people(
        people: int, images: int, seed: int = 0, size: int = 32, scatter: float = 0.6
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        rng = np.random.default_rng(seed)
        centres = rng.normal(size=(people, size))
        labels = np.repeat(np.arange(people), images)
        vectors = centres[labels] + scatter * rng.normal(size=(len(labels), size))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels

    return draw_people
