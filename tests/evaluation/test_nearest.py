"""The nearest embeddings, against all distances in float64."""

import numpy as np
import pytest

from facetool.evaluation import nearest
from facetool.evaluation.distances import normalize


@pytest.mark.parametrize("block", [64, nearest._BLOCK])
@pytest.mark.parametrize("unit_length", [True, False])
@pytest.mark.parametrize("count", [1, 7, 500])
def test_against_all_distances(monkeypatch, block, unit_length, count):
    monkeypatch.setattr(nearest, "_BLOCK", block)
    rng = np.random.default_rng(count)
    gallery = rng.normal(size=(300, 16)).astype(np.float32)
    gallery[[5, 250]] = gallery[100]  # the same photo three times
    gallery[7] = 0
    probe = gallery[100] + 0.1 * rng.normal(size=16)
    exact = gallery.astype(np.float64)
    if unit_length:
        probe, exact = normalize(probe[None])[0], normalize(exact)
    distances = np.square(exact - probe).sum(axis=1)
    rows, found = nearest.nearest_rows(probe, gallery, count, unit_length=unit_length)
    expected = np.argsort(distances, kind="stable")[:count]
    assert (rows == expected).all() and rows[:3].tolist() == [5, 100, 250][:count]
    assert found == pytest.approx(distances[expected], abs=1e-12)


@pytest.mark.parametrize("length", [1e-44, 1e-20, 1e-12, 1e12, 1e20, 1e37])
@pytest.mark.parametrize("unit_length", [True, False])
def test_embeddings_of_any_length(unit_length, length):
    rng = np.random.default_rng(0)
    gallery = (length * rng.normal(size=(300, 16))).astype(np.float32)
    gallery[7] = 0
    exact = gallery.astype(np.float64)
    exact = normalize(exact) if unit_length else exact
    rows, found = nearest.nearest_rows(exact[100], gallery, 5, unit_length=unit_length)
    distances = np.square(exact - exact[100]).sum(axis=1)
    assert rows.tolist() == np.argsort(distances)[:5].tolist()
    assert found == pytest.approx(distances[rows], rel=1e-9)


def test_nothing_to_find_in():
    rows, found = nearest.nearest_rows(np.ones(4), np.empty((0, 4), "f4"), 5, unit_length=True)
    assert len(rows) == len(found) == 0
