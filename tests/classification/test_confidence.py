import numpy as np
import pytest

from facetool.classification.confidence import Confidence, fit_slope, fit_temperature
from facetool.classification.open_set import OpenSetThreshold

THRESHOLD = OpenSetThreshold(0.5, "held-out identities", 0.01, 10, 100, 0.1)


def test_temperature_recovers_the_scale_of_probabilities():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 6)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(6, p=p) for p in probabilities])
    temperature = fit_temperature(7 * logits, labels)
    assert temperature == pytest.approx(7, rel=0.1)
    best = Confidence(temperature, 0).of_class(7 * logits)
    right = logits.argmax(axis=1) == labels
    assert best.mean() == pytest.approx(right.mean(), abs=0.03)


def test_no_error_does_not_make_certain():
    labels = np.arange(20) % 4
    scores = np.eye(4)[labels] * 3
    confidence = Confidence(fit_temperature(scores, labels), 0).of_class(scores)
    assert 0.85 < confidence.min() < 0.999


def test_one_half_on_the_threshold():
    slope = fit_slope(np.linspace(0.6, 0.9, 40), np.linspace(0, 0.45, 40), THRESHOLD)
    found = Confidence(1, slope).of_similarity(np.array([0.1, 0.499, 0.5, 0.501, 0.9]), THRESHOLD)
    assert found[2] == pytest.approx(0.5)
    assert (np.diff(found) > 0).all() and found[0] < 0.05 and found[-1] > 0.95


def test_without_threshold_or_images_to_measure():
    none = OpenSetThreshold(-1.0, "none", 0.01, 2, 0, 0.0)
    assert fit_slope(np.array([0.5]), np.array([0.1]), none) == 0
    assert (Confidence(1, 0).of_similarity(np.array([-1.0, 0.3]), none) == 1).all()
    assert fit_slope(np.empty(0), np.array([0.1]), THRESHOLD) > 0


@pytest.mark.parametrize("images", [4, 20])
def test_two_people_never_mistaken_are_as_sure_as_platt_says(images):
    labels = np.arange(images) % 2
    scores = np.eye(2)[labels] * 3
    confidence = Confidence(fit_temperature(scores, labels), 0).of_class(scores)
    np.testing.assert_allclose(confidence, (images + 1) / (images + 2), rtol=1e-4)
