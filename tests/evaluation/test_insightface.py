import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import auc
from sklearn.model_selection import KFold

from facetool.evaluation import insightface
from facetool.evaluation.distances import squared_l2
from facetool.evaluation.pairs import Trials


@pytest.fixture(scope="module")
def golden(shared: Path):  # type: ignore[no-untyped-def]
    folder = shared / "golden" / "mxnet" / "verification"
    pairs = np.load(folder / "pairs1200.npz")
    arrays = np.load(folder / "pairs1200_out_scipy1.8.1.npz")
    figures = json.loads((folder / "pairs1200_out_scipy1.8.1.json").read_text())
    return pairs["embeddings"], Trials.in_order(pairs["issame"]), arrays, figures


def test_golden_accuracy_and_rates(golden) -> None:  # type: ignore[no-untyped-def]
    embeddings, trials, arrays, figures = golden
    outcome = insightface.evaluate_insightface(embeddings[0::2], embeddings[1::2], trials)
    np.testing.assert_allclose(outcome.accuracies, arrays["accuracy"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(outcome.curve.tpr, arrays["tpr"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(outcome.curve.fpr, arrays["fpr"], rtol=0, atol=1e-12)
    assert outcome.accuracy == pytest.approx(figures["accuracy_mean"], abs=1e-12)
    assert outcome.std == pytest.approx(figures["accuracy_std"], abs=1e-12)
    rate = outcome.tar_at_far[0]
    expected = figures["evaluate_val_at_far_1e_3"]
    assert rate.target == 1e-3
    assert (rate.tar, rate.tar_std, rate.far) == pytest.approx(expected, abs=1e-12)
    assert rate.impostors_accepted == 1 and rate.impostors == 600 and not rate.measurable


@pytest.mark.parametrize("target", ["0.1", "0.01", "0.001", "0.0001"])
def test_golden_tar_at_far(golden, target: str) -> None:  # type: ignore[no-untyped-def]
    embeddings, trials, _, figures = golden
    distances = squared_l2(embeddings[0::2], embeddings[1::2])
    rate = insightface.trained_tar_at_far(distances, trials, float(target))
    expected = figures["val_valstd_far"][target]
    assert (rate.tar, rate.tar_std, rate.far) == pytest.approx(expected, abs=1e-12)


def test_length_does_not_matter(synthetic) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    lengths = rng.uniform(1, 30, size=(2, 600, 1))
    outcome = insightface.evaluate_insightface(synthetic.first, synthetic.second, synthetic.trials)
    stretched = insightface.evaluate_insightface(
        synthetic.first * lengths[0], synthetic.second * lengths[1], synthetic.trials
    )
    np.testing.assert_array_equal(outcome.accuracies, stretched.accuracies)


def test_against_the_slow_derivation(synthetic) -> None:  # type: ignore[no-untyped-def]
    """The published protocol written out with KFold and a loop over thresholds."""
    same = synthetic.trials.same
    distances = np.sum(np.square(synthetic.first - synthetic.second), axis=1)
    sweep, fine = np.arange(0, 4, 0.01), np.arange(0, 4, 0.001)
    accuracies, thresholds, tprs, fprs, tars = [], [], [], [], []
    for train, test in KFold(10, shuffle=False).split(distances):
        scores = [np.mean((distances[train] < t) == same[train]) for t in sweep]
        best = next(t for t, score in zip(sweep, scores, strict=True) if score == max(scores))
        thresholds.append(best)
        accuracies.append(np.mean((distances[test] < best) == same[test]))
        d, s = distances[test], same[test]
        tprs.append([np.mean(d[s] < t) for t in sweep])
        fprs.append([np.mean(d[~s] < t) for t in sweep])
        impostors = distances[train][~same[train]]
        far = [np.mean(impostors < t) for t in fine]
        tars.append(np.mean(d[s] < np.interp(0.01, far, fine)))
    outcome = insightface.evaluate_insightface(synthetic.first, synthetic.second, synthetic.trials)
    np.testing.assert_allclose(outcome.accuracies, accuracies, atol=1e-12)
    np.testing.assert_allclose(np.array([f.threshold for f in outcome.folds]), thresholds)
    np.testing.assert_allclose(outcome.curve.tpr, np.mean(tprs, axis=0), atol=1e-12)
    assert outcome.tar_at_far[1].tar == pytest.approx(np.mean(tars), abs=1e-12)
    assert outcome.tar_at_far[1].tar_std == pytest.approx(np.std(tars), abs=1e-12)
    assert outcome.curve.auc == pytest.approx(auc(np.mean(fprs, axis=0), np.mean(tprs, axis=0)))


def test_a_rate_the_training_folds_do_not_reach() -> None:
    """Impostors beyond every threshold: FAR stays 0, and the threshold is 0."""
    trials = Trials.in_order(np.tile([True, False], 20))
    rate = insightface.trained_tar_at_far(np.where(trials.same, 1.0, 9.0), trials, 0.1)
    assert (rate.threshold, rate.tar, rate.far) == (0, 0, 0)
