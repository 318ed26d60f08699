import numpy as np
import pytest

from facetool.evaluation import facenet


@pytest.mark.parametrize("metric", ["squared-l2", "arccos"])
@pytest.mark.parametrize("subtract_mean", [False, True])
def test_against_the_slow_derivation(synthetic, metric: str, subtract_mean: bool) -> None:  # type: ignore[no-untyped-def]
    # A common offset is what subtracting the mean is for.
    first, second, same = synthetic.first + 0.5, synthetic.second + 0.5, synthetic.trials.same
    sweep = np.arange(0, 4, 0.01)
    accuracies = []
    for fold in range(10):
        test = synthetic.trials.folds == fold
        train = ~test
        mean = np.concatenate([first[train], second[train]]).mean(axis=0) if subtract_mean else 0
        a, b = first - mean, second - mean
        if metric == "squared-l2":
            distances = ((a - b) ** 2).sum(axis=1)
        else:
            lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
            distances = np.arccos((a * b).sum(axis=1) / lengths) / np.pi
        scores = [np.mean((distances[train] < t) == same[train]) for t in sweep]
        best = sweep[int(np.argmax(scores))]
        accuracies.append(np.mean((distances[test] < best) == same[test]))
    outcome = facenet.evaluate_facenet(first, second, synthetic.trials, metric, subtract_mean)
    np.testing.assert_allclose(outcome.accuracies, accuracies, atol=1e-12)


def test_the_mean_matters_to_angles_only(synthetic) -> None:  # type: ignore[no-untyped-def]
    first, second = synthetic.first + 0.5, synthetic.second + 0.5

    def accuracy(metric: str, subtract_mean: bool) -> float:
        return facenet.evaluate_facenet(
            first, second, synthetic.trials, metric, subtract_mean
        ).accuracy

    assert accuracy("squared-l2", True) == accuracy("squared-l2", False)
    assert accuracy("arccos", True) > accuracy("arccos", False)
