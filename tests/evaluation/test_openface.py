import numpy as np
import pytest
from scipy.interpolate import interp1d
from sklearn.metrics import auc

from facetool.errors import FacetoolError
from facetool.evaluation import openface
from facetool.evaluation.pairs import Trials
from facetool.evaluation.roc import Counts


def train_counts(accuracies: list[float]) -> Counts:
    """Counts of 100 genuine pairs alone, whose accuracy is what is accepted."""
    accepted = np.array([round(100 * a) for a in accuracies])
    return Counts(accepted, np.zeros_like(accepted), 100, 0)


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ([0.5, 0.6, 0.7, 0.6, 0.9], 2),  # stops at the first drop, whatever follows
        ([0.5, 0.7, 0.7, 0.7, 0.6], 3),  # the last of a plateau
        ([0.5, 0.6, 0.7], 2),  # never drops
        ([0.5, 0.5, 0.5], 2),
        ([0.5, 0.4, 0.9], 0),  # drops at once
    ],
)
def test_climb(accuracies: list[float], best: int) -> None:
    assert openface.openface_threshold(train_counts(accuracies)) == best


def slow_protocol(first, second, trials):  # type: ignore[no-untyped-def]
    """OpenFace's evaluation from its description, one threshold and one pair at a time."""
    thresholds = [0.01 * i for i in range(400)]
    distances = [float(np.dot(a - b, a - b)) for a, b in zip(first, second, strict=True)]

    def accuracy(threshold, chosen):  # type: ignore[no-untyped-def]
        return np.mean([(distances[i] < threshold) == trials.same[i] for i in chosen])

    accuracies, chosen_thresholds, curves = [], [], []
    for fold in range(trials.fold_count):
        test = [i for i in range(len(trials)) if trials.folds[i] == fold]
        train = [i for i in range(len(trials)) if trials.folds[i] != fold]
        best, best_accuracy = 0.0, 0.0
        for threshold in thresholds:
            value = accuracy(threshold, train)
            if value < best_accuracy:
                break
            best, best_accuracy = threshold, value
        chosen_thresholds.append(best)
        accuracies.append(accuracy(best, test))
        points = []
        for threshold in thresholds:
            tp = sum(distances[i] < threshold and bool(trials.same[i]) for i in test)
            fp = sum(distances[i] < threshold and not trials.same[i] for i in test)
            points.append((fp / 30, tp / 30))
        curves.append(interp1d(*zip(*points, strict=True)))
    grid = np.linspace(0, 1, 1000)
    mean = sum(curve(grid) for curve in curves) / len(curves)
    return accuracies, chosen_thresholds, mean


@pytest.mark.slow
def test_against_the_slow_derivation(synthetic) -> None:  # type: ignore[no-untyped-def]
    outcome = openface.evaluate_openface(synthetic.first, synthetic.second, synthetic.trials)
    accuracies, thresholds, mean = slow_protocol(
        synthetic.first, synthetic.second, synthetic.trials
    )
    np.testing.assert_allclose(outcome.accuracies, accuracies, atol=1e-12)
    np.testing.assert_allclose(np.array([f.threshold for f in outcome.folds]), thresholds)
    np.testing.assert_allclose(outcome.curve.tpr, mean, atol=1e-12)
    assert outcome.curve.auc == pytest.approx(auc(np.linspace(0, 1, 1000), mean))
    assert 0.7 < outcome.accuracy < 0.95  # neither trivial nor hopeless
    assert outcome.std == pytest.approx(np.std(accuracies))
    assert outcome.se == pytest.approx(np.std(accuracies) / 3)


def test_an_empty_fold_has_no_part_in_the_averages(synthetic) -> None:  # type: ignore[no-untyped-def]
    kept = synthetic.trials.folds != 4
    outcome = openface.evaluate_openface(
        synthetic.first[kept], synthetic.second[kept], synthetic.trials[kept]
    )
    assert outcome.folds[4] is None and len(outcome.folds) == 10
    assert len(outcome.accuracies) == 9 and np.isfinite(outcome.accuracy)
    assert outcome.averaging.startswith("9 folds")
    # It trains no threshold either: the same as evaluating nine folds.
    nine = Trials.in_order(synthetic.trials.same[kept], 9)
    expected = openface.evaluate_openface(synthetic.first[kept], synthetic.second[kept], nine)
    np.testing.assert_array_equal(outcome.accuracies, expected.accuracies)
    np.testing.assert_array_equal(outcome.curve.tpr, expected.curve.tpr)


def test_a_fold_of_one_kind_is_tested_but_has_no_curve(synthetic) -> None:  # type: ignore[no-untyped-def]
    kept = (synthetic.trials.folds != 4) | synthetic.trials.same
    outcome = openface.evaluate_openface(
        synthetic.first[kept], synthetic.second[kept], synthetic.trials[kept]
    )
    assert len(outcome.accuracies) == 10
    assert outcome.averaging.startswith("9 folds")


def test_too_few_pairs(synthetic) -> None:  # type: ignore[no-untyped-def]
    same = synthetic.trials.same
    with pytest.raises(FacetoolError, match="all pairs that can be scored are genuine"):
        openface.evaluate_openface(
            synthetic.first[same], synthetic.second[same], synthetic.trials[same]
        )
