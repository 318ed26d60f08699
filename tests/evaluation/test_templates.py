"""Templates of several images, in blocks of any size; test_ijb_eval.py has the whole protocols."""

import numpy as np
import pytest

from facetool.errors import FacetoolError
from facetool.evaluation import templates
from facetool.evaluation.distances import normalize
from facetool.evaluation.templates import Templates, identify_templates, pair_scores, pool


def test_a_gallery_has_everybody_once() -> None:
    vectors = np.eye(3)
    ids = np.array([1, 2, 1])
    with pytest.raises(FacetoolError, match="subject 1 has several"):
        identify_templates(vectors[:1], ids[:1], vectors, ids)
    with pytest.raises(FacetoolError, match="subject 7"):
        identify_templates(vectors[:1], np.array([7]), vectors[:2], ids[:2])


def test_a_video_counts_as_one_photo() -> None:
    vectors = np.array([[4, 0], [0, 2], [0, 6]], np.float32)
    pooled = pool(vectors, np.array([5, 5, 5]), np.array([1, 2, 2]))
    assert pooled.numbers.tolist() == [5]
    np.testing.assert_allclose(pooled.vectors, [[0.5**0.5, 0.5**0.5]])


@pytest.fixture(params=[1, 40, 1000, 1 << 24])
def block(request, monkeypatch):
    """Numbers that are held at once: of one probe, of a few, and of all."""
    monkeypatch.setattr(templates, "_BLOCK", request.param)


def test_probes_are_searched_in_blocks_of_any_size(block) -> None:
    rng = np.random.default_rng(0)
    gallery = normalize(rng.normal(size=(20, 6)))
    people = rng.permutation(20) * 3
    mates = rng.integers(0, 20, 90)
    probes = normalize(gallery[mates] + 0.5 * rng.normal(size=(90, 6)))
    found = identify_templates(probes, people[mates], gallery, people)
    similarity = probes @ gallery.T
    own = similarity[np.arange(90), mates]
    others = np.sort(np.delete(similarity.ravel(), np.arange(90) * 20 + mates))[::-1]
    for target, place in ((0.01, 1), (0.1, 9)):
        assert found.thresholds[target] == pytest.approx(others[place - 1], abs=1e-12)
        assert found.tpir[target] == (own > others[place - 1]).mean()
    better = (similarity > own[:, None]).sum(axis=1)
    assert found.rank == {rank: (better < rank).mean() for rank in (1, 5, 10)}
    assert 0 < found.rank[1] < found.rank[10]
    assert (found.probes, found.gallery) == (90, 20)


def test_pairs_are_scored_in_blocks_of_any_size(block) -> None:
    rng = np.random.default_rng(1)
    numbers = np.sort(rng.choice(1000, 30, replace=False))
    made = Templates(numbers, normalize(rng.normal(size=(30, 5))))
    one, other = rng.integers(0, 30, (2, 200))
    found = pair_scores(made, numbers[one], numbers[other])
    wanted = (made.vectors @ made.vectors.T)[one, other]
    np.testing.assert_allclose(found, wanted, atol=1e-15)
    assert pair_scores(made, numbers[:0], numbers[:0]).shape == (0,)


def test_frames_in_any_order() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    numbers, media = rng.integers(0, 7, 60) * 5, rng.integers(0, 3, 60)
    pooled = pool(vectors, numbers, media)
    assert pooled.numbers.tolist() == [0, 5, 10, 15, 20, 25, 30]
    for number, vector in zip(pooled.numbers, pooled.vectors, strict=True):
        means = [
            vectors[(numbers == number) & (media == medium)].mean(axis=0, dtype=float)
            for medium in np.unique(media[numbers == number])
        ]
        np.testing.assert_allclose(vector, sum(means) / np.linalg.norm(sum(means)), rtol=1e-12)


def test_a_gallery_of_one_has_nobody_else_to_be_taken_for() -> None:
    with pytest.raises(FacetoolError, match="the gallery has one template"):
        identify_templates(np.eye(2)[:1], np.array([1]), np.eye(2)[:1], np.array([1]))
