"""Ranks and accept rates against brute force, and where they are known."""

from functools import partial

import numpy as np
import pytest
import torch

from facetool.evaluation import identification, products
from facetool.evaluation.identification import (
    Identification,
    Mates,
    NoMateError,
    RankCounter,
    find_mates,
    nested_sets,
    rank_mates,
)
from facetool.evaluation.roc import tar_at_far

CPU = torch.device("cpu")


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def draw(people: np.ndarray, size: int = 16, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((people.max() + 1, size))
    vectors = centres[people] + 1.2 * rng.standard_normal((len(people), size))
    return vectors.astype(np.float32)


def brute_force(
    probes: np.ndarray,
    people: np.ndarray,
    gallery: np.ndarray,
    gallery_people: np.ndarray,
    distractors: np.ndarray,
    same_images: bool,
) -> tuple[list[int], np.ndarray]:
    """Ranks in float64, and the genuine scores."""
    probes, gallery, distractors = (unit(v.astype(float)) for v in (probes, gallery, distractors))
    ranks, scores = [], []
    for p in range(len(probes)):
        crowd = distractors @ probes[p]
        for g in range(len(gallery)):
            if people[p] == gallery_people[g] and not (same_images and p == g):
                scores.append(gallery[g] @ probes[p])
                ranks.append(1 + int((crowd > scores[-1]).sum()))
    return ranks, np.array(scores)


@pytest.mark.parametrize("same_images", [True, False])
@pytest.mark.parametrize("small_blocks", [True, False])
def test_against_brute_force(
    same_images: bool, small_blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small_blocks:
        monkeypatch.setitem(products.BLOCK, "cpu", (7, 33))
    rng = np.random.default_rng(3)
    people = rng.integers(0, 9, 37)
    probes = draw(people)
    gallery_people = people if same_images else rng.integers(0, 9, 41)
    gallery = probes if same_images else draw(gallery_people, seed=1)
    distractors = rng.standard_normal((2003, 16)).astype(np.float32)
    sets = nested_sets(len(distractors))
    result = rank_mates(
        probes, people, gallery, gallery_people, distractors.__getitem__, sets, CPU, 20, same_images
    )
    assert result.sizes == [10, 100, 1000, 2003]
    chosen: list[int] = []
    for added, rates in zip(sets, result.cmc, strict=True):
        chosen += added.tolist()
        ranks, scores = brute_force(
            probes, people, gallery, gallery_people, distractors[chosen], same_images
        )
        assert result.pairs == len(ranks)
        expected = [np.mean(np.array(ranks) <= k) for k in range(1, 21)]
        assert np.allclose(rates, expected, atol=1e-12)
    assert np.allclose(result.genuine, np.sort(scores)[::-1], atol=1e-6)


def test_gallery_alone_leaves_out_the_probes_own_person() -> None:
    people = np.random.default_rng(0).integers(0, 6, 40)
    vectors = draw(people)
    result = rank_mates(vectors, people, vectors, people, None, [np.arange(40)], CPU, 39, True)
    cosine = unit(vectors.astype(float)) @ unit(vectors.astype(float)).T
    ranks = [
        1 + int((cosine[p][people != people[p]] > cosine[p, g]).sum())
        for p in range(40)
        for g in range(40)
        if people[p] == people[g] and p != g
    ]
    expected = [np.mean(np.array(ranks) <= k) for k in range(1, 40)]
    assert np.allclose(result.cmc[0], expected, atol=1e-12)
    assert result.impostors == int((people[:, None] != people).sum())
    assert len(result.top_impostors) == result.impostors


LENGTHS = [1e-44, 1e-38, 1e-20, 1e-8, 1e8, 1e20, 1e37]


@pytest.mark.parametrize("apart", [False, True], ids=["gallery alone", "distractors"])
@pytest.mark.parametrize("length", [*LENGTHS, "mixed"])
def test_embeddings_of_any_length(length: float | str, apart: bool) -> None:
    """Cosines are the same, to what float32 keeps of numbers so small."""
    people = np.random.default_rng(0).integers(0, 8, 48)
    vectors, crowd = draw(people), draw(np.arange(300), seed=6)

    def ranked(*lists: np.ndarray) -> Identification:
        own, others = (one.astype(np.float32) for one in lists)
        sets = nested_sets(300 if apart else 48)
        take = others.__getitem__ if apart else None
        return rank_mates(own, people, own, people, take, sets, CPU, 20, True)

    expected = ranked(vectors, crowd)
    assert expected.cmc[-1, 0] < 0.9
    lengths = np.resize(LENGTHS, 300) if length == "mixed" else np.full(300, length)
    scaled = [one * lengths[: len(one), None].astype(float) for one in (vectors, crowd)]
    found = ranked(*scaled)
    assert np.allclose(found.cmc, expected.cmc, atol=0.05 if lengths.min() < 1e-40 else 1e-9)


def test_known_ranks() -> None:
    """On a circle: the mate at 40°, distractors at 10°, 20°, … on the other side."""

    def at(degrees: list[float]) -> np.ndarray:
        angles = np.radians(degrees)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    one = np.zeros(1, np.int64)
    distractors = at([-10.0 * step for step in range(1, 10)])
    for mate, rank in ((5, 1), (15, 2), (45, 5), (95, 10)):
        result = rank_mates(
            at([0]), one, at([mate]), one, distractors.__getitem__, nested_sets(9), CPU, 10
        )
        assert result.cmc[0].tolist() == [0.0] * (rank - 1) + [1.0] * (11 - rank)


def test_ties_do_not_count_against_the_mate() -> None:
    one, vector = np.zeros(1, np.int64), np.eye(4, dtype=np.float32)
    crowd = np.repeat(vector[1:2], 16, axis=0)
    result = rank_mates(
        vector[:1], one, vector[2:3], one, crowd.__getitem__, nested_sets(16), CPU, 1
    )
    assert result.cmc[-1].tolist() == [1.0]


@pytest.mark.parametrize("size", [16, 128, 512])
def test_a_mate_that_is_a_distractor_too_does_not_beat_itself(size: int) -> None:
    """Its cosine comes from matrix products of different shapes, which round differently."""
    people = np.arange(300)
    probes, gallery = draw(people, size=size), draw(people, seed=1, size=size)
    result = rank_mates(
        probes, people, gallery, people, gallery.__getitem__, nested_sets(300), CPU, 1
    )
    cosine = unit(probes.astype(float)) @ unit(gallery.astype(float)).T
    higher = (cosine > np.diag(cosine)[:, None] + 1e-9).sum(1)
    assert result.cmc[-1, 0] == np.mean(higher == 0)
    (at_all,) = [rate for rate in result.tar_at_far() if rate.target == 0.01]
    impostors = np.sort(cosine.ravel())[::-1]
    expected = (np.diag(cosine) > impostors[int(0.01 * cosine.size)] + 1e-9).mean()
    assert at_all.tar == pytest.approx(expected, abs=1e-9)


def test_sort_keys_order_like_the_scores() -> None:
    scores = torch.tensor([-1.0, -0.5, -1e-30, -0.0, 0.0, 1e-30, 0.25, 1.0])
    keys = identification._sort_keys(torch.zeros(8, dtype=torch.int64), scores)
    assert (keys.diff() >= 0).all()
    assert keys[3] == keys[4]
    assert len(set(keys.tolist())) == 7
    assert identification._sort_keys(torch.tensor([1]), torch.tensor([-1.0])) > keys.max()


@pytest.mark.parametrize("kept", [50, 3000])
def test_highest_impostors_are_exact_however_few_are_kept(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identification, "_SAMPLE", 500)
    people = np.arange(20) // 2
    probes = torch.nn.functional.normalize(torch.from_numpy(draw(people)))
    mates = find_mates(probes, people, probes, people, same_images=True)
    crowd = torch.nn.functional.normalize(torch.from_numpy(draw(np.arange(4000), seed=5)))
    counter = RankCounter(probes, None, mates, expected=80_000, kept=kept)
    for block in crowd.split(64):
        counter.add(block)
    every = np.sort((probes @ crowd.T).numpy().ravel())[::-1]
    found = counter.top_impostors()
    assert len(found) >= kept * 0.8
    assert np.allclose(found, every[: len(found)], atol=1e-6)
    assert counter.impostors == 80_000


@pytest.mark.parametrize("apart", [False, True], ids=["gallery alone", "distractors"])
@pytest.mark.parametrize("order", ["alike first", "alike last", "mixed"])
def test_the_order_of_the_rows_does_not_matter(
    order: str, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some photos have much of one face, such as a stand-in's: their scores are the highest."""
    monkeypatch.setitem(products.BLOCK, "cpu", (64, 64))
    monkeypatch.setattr(identification, "_SAMPLE", 2000)
    monkeypatch.setattr(identification, "RankCounter", partial(RankCounter, kept=80_000))
    people = np.arange(600) // 2
    vectors = draw(people, seed=4)
    vectors[:80, 0] += 9
    crowd = draw(np.arange(600), seed=5)
    crowd[:80, 0] += 9
    rows = {
        "alike first": np.arange(600),
        "alike last": np.arange(600)[::-1],
        "mixed": np.random.default_rng(9).permutation(600),
    }[order]
    own, crowd = np.ascontiguousarray(vectors[rows]), np.ascontiguousarray(crowd[rows])
    take = crowd.__getitem__ if apart else None
    found = rank_mates(
        own, people[rows], own, people[rows], take, [np.arange(600)], CPU, 3, same_images=True
    )
    cosine = unit(vectors.astype(float)) @ unit(crowd[np.argsort(rows)] if apart else vectors).T
    impostors = cosine.ravel() if apart else cosine[people[:, None] != people]
    every = np.sort(impostors)[::-1]
    assert found.impostors == len(every)
    assert len(found.top_impostors) > 0.8 * 80_000
    assert np.allclose(found.top_impostors, every[: len(found.top_impostors)], atol=1e-6)
    assert [rate.target for rate in found.tar_at_far()] == [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def test_growing_scores_overflow_into_a_cut() -> None:
    """Distractors that come sorted defeat the sample; the memory stays bounded all the same."""
    probes = torch.eye(2)[:1]
    mates = Mates(torch.zeros(1, dtype=torch.int64), torch.ones(1))
    counter = RankCounter(probes, None, mates, expected=10_000, kept=100)
    scores = torch.linspace(-1, 1, 10_000)
    for block in scores.split(50):
        counter.add(torch.stack([block, torch.zeros(len(block))], dim=1))
        assert counter._top_count <= 250
    assert np.array_equal(counter.top_impostors(), scores.numpy()[::-1][:100])


def test_rates_agree_with_those_of_distances() -> None:
    rng = np.random.default_rng(0)
    genuine = rng.normal(0.5, 0.2, 500).clip(-1, 1).astype(np.float32)
    impostors = rng.normal(0, 0.2, 20_000).clip(-1, 1).astype(np.float32)
    outcome = Identification(
        500, [1], np.ones((1, 1)), np.sort(genuine)[::-1], np.sort(impostors)[::-1], 20_000
    )
    distances = 2 - 2 * np.concatenate([genuine, impostors]).astype(float)
    same = np.arange(len(distances)) < 500
    rates = outcome.tar_at_far()
    assert [rate.target for rate in rates] == list(identification.IDENTIFICATION_FARS)
    for rate in rates:
        expected = tar_at_far(distances, same, rate.target)
        assert rate.tar == expected.tar
        assert rate.far == expected.far
        assert rate.measurable == expected.measurable
    far, tar = outcome.roc()
    assert far[-1] == tar[-1] == 1.0
    assert sorted(far) == far and sorted(tar) == tar


@pytest.mark.parametrize(("kept", "rates"), [(10, 3), (50, 4), (100, 4), (101, 5)])
def test_rates_beyond_the_kept_scores_are_not_told(kept: int, rates: int) -> None:
    """A rate of 1 % of 10,000 accepts 100, and its threshold is the score after them."""
    outcome = Identification(
        1, [1], np.ones((1, 1)), np.ones(1, np.float32), np.linspace(1, 0, kept, dtype="f"), 10_000
    )
    told = [rate.target for rate in outcome.tar_at_far()]
    assert told == list(identification.IDENTIFICATION_FARS[:rates])


def test_nested_sets() -> None:
    sets = nested_sets(2500)
    assert [len(part) for part in sets] == [10, 90, 900, 1500]
    assert sorted(np.concatenate(sets).tolist()) == list(range(2500))
    assert all((np.diff(part) > 0).all() for part in sets)
    assert sets[0].max() > 1000
    assert [len(part) for part in nested_sets(10)] == [10]
    assert [len(part) for part in nested_sets(3)] == [3]


def test_nobody_has_a_mate() -> None:
    vectors = np.eye(3, dtype=np.float32)
    people = np.arange(3)
    with pytest.raises(NoMateError):
        rank_mates(vectors, people, vectors, people, None, [np.arange(3)], CPU, 1, True)
