from itertools import combinations

import numpy as np
import pytest
from scipy.stats import t

from facetool.classification import open_set as openset
from facetool.classification.fit import class_means


def test_genuine_and_impostors_are_held_out(draw):
    vectors, labels = draw(4, 3, scatter=1)
    labels = np.append(labels, 4)
    vectors = np.append(vectors, draw(1, 1, seed=9)[0], axis=0)
    own, others = openset.genuine(vectors, labels), openset.impostors(vectors, labels)
    assert np.isnan(own[-1])
    rest = vectors[[0, 2]].mean(axis=0)
    assert own[1] == pytest.approx(vectors[1] @ rest / np.linalg.norm(rest))
    means = [vectors[labels == k].mean(axis=0) for k in (1, 2, 3, 4)]
    assert others[1] == pytest.approx(max(vectors[1] @ m / np.linalg.norm(m) for m in means))


@pytest.mark.parametrize("people", [10, 40, 200])
@pytest.mark.parametrize("fpir", [0.01, 0.1])
def test_strangers_are_named_at_no_more_than_the_chosen_rate(people, fpir, draw):
    """Over several training sets, as a rate is a mean; people of the kind that was trained on."""
    rates = []
    for seed in range(8):
        vectors, labels = draw(people + 1500, 3, seed=seed, size=48)
        known = labels < people
        threshold = openset.calibrate(vectors[known], labels[known], fpir)
        means = class_means(vectors[known], labels[known])
        similarity = openset.similarities(vectors[~known], means).max(axis=1)
        rates.append((similarity >= threshold.cosine).mean())
    assert fpir / 20 < np.mean(rates) < 1.3 * fpir


@pytest.mark.parametrize("people", [1, 3])
def test_a_threshold_for_few_people_takes_strangers_from_elsewhere(people, draw):
    rates = []
    for seed in range(20):
        vectors, labels = draw(people + 40 + 1500, 3, seed=seed, size=48)
        known, given = labels < people, (labels >= people) & (labels < people + 40)
        others = openset.Strangers(vectors[given], labels[given] - people)
        threshold = openset.calibrate(vectors[known], labels[known], 0.05, strangers=others)
        assert (threshold.source, threshold.people) == ("held-out identities", 40)
        assert threshold.pairs == 120 * people
        means = class_means(vectors[known], labels[known])
        similarity = openset.similarities(vectors[labels >= people + 40], means).max(axis=1)
        rates.append((similarity >= threshold.cosine).mean())
    assert 0.05 / 20 < np.mean(rates) < 1.3 * 0.05


def test_fewer_people_make_it_more_careful(draw):
    def threshold(people: int) -> float:
        drawn = [draw(people, 4, seed=seed) for seed in range(20)]
        found = [openset.calibrate(vectors, labels, 0.01) for vectors, labels in drawn]
        assert {t.source for t in found} == {"held-out identities"}
        return float(np.mean([t.cosine for t in found]))

    assert threshold(5) > threshold(7) > threshold(12)


def test_too_few_people(draw):
    vectors, labels = draw(4, 5)
    nothing = openset.calibrate(vectors, labels, 0.01)
    assert (nothing.source, nothing.cosine, nothing.deviation) == ("none", -1, 0)
    published = openset.calibrate(vectors, labels, 0.01, published=0.8)
    assert (published.source, published.cosine, published.deviation) == ("network", 0.8, 0)


def test_people_count_the_same_however_many_images_they_have(draw):
    vectors, labels = draw(12, 2)
    once = openset.calibrate(vectors, labels, 0.01)
    more = np.concatenate([np.arange(24), np.tile([0, 1], 50)])
    again = openset.calibrate(vectors[more], labels[more], 0.01)
    assert again.cosine == pytest.approx(once.cosine, abs=1e-9)


def test_blocks_do_not_matter(draw, monkeypatch):
    vectors, labels = draw(12, 3)
    whole, best = openset.calibrate(vectors, labels, 0.01), openset.impostors(vectors, labels)
    monkeypatch.setattr(openset, "_BLOCK", 24)
    assert openset.calibrate(vectors, labels, 0.01).cosine == pytest.approx(whole.cosine)
    np.testing.assert_allclose(openset.impostors(vectors, labels), best)


@pytest.mark.parametrize("people", [5, 9])
def test_the_threshold_is_the_prediction_bound_of_a_next_pair(people, draw):
    """One image each, so that each pair of people has one angle."""
    vectors, labels = draw(people, 1)
    angles = [np.arccos(a @ b) for a, b in combinations(vectors, 2)]
    n, mean, deviation = len(angles), np.mean(angles), np.std(angles, ddof=1)
    rate = 1 - (1 - 0.02) ** (1 / people)
    angle = t.ppf(rate, n - 1, loc=mean, scale=deviation * np.sqrt(1 + 1 / n))
    found = openset.calibrate(vectors, labels, 0.02)
    assert found.cosine == pytest.approx(np.cos(angle), abs=1e-9)
    assert found.deviation == pytest.approx(deviation)


@pytest.mark.parametrize("fpir", [5e-324, 1e-300, 1e-17, 1 - 1e-16])
@pytest.mark.parametrize("scatter", [0.0, 0.5])
def test_rates_next_to_0_and_1(fpir, scatter, draw):
    vectors, labels = draw(6, 3, scatter=scatter)
    cosine = openset.calibrate(vectors, labels, fpir).cosine
    assert -1 <= cosine <= 1
    same = np.repeat(vectors[:1], len(vectors), axis=0)
    assert openset.calibrate(same, labels, fpir).cosine == pytest.approx(1)
