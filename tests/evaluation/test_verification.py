import json
import time

import numpy as np
import pytest

from facetool.evaluation import facenet, insightface, openface
from facetool.evaluation.pairs import Trials
from facetool.evaluation.verification import misfit


@pytest.mark.parametrize(
    ("length", "reason"),
    [(1, None), (25, "farther apart than the largest threshold, 3.99"), (0.05, "closer than 0.1")],
)
def test_misfit(synthetic, length: float, reason: str | None) -> None:  # type: ignore[no-untyped-def]
    outcome = openface.evaluate_openface(
        length * synthetic.first, length * synthetic.second, synthetic.trials
    )
    found = misfit(outcome.folds)
    assert found is None if reason is None else reason in str(found)


def test_figures_are_plain_json(synthetic) -> None:  # type: ignore[no-untyped-def]
    kept = synthetic.trials.folds != 2
    outcome = openface.evaluate_openface(
        synthetic.first[kept], synthetic.second[kept], synthetic.trials[kept]
    )
    figures = json.loads(json.dumps(outcome.as_dict(), allow_nan=False))
    assert figures["accuracy"]["folds"][2] is None
    assert figures["accuracy"]["thresholds"][2] is None
    assert figures["accuracy"]["mean"] == np.mean(outcome.accuracies)
    assert [rate["target"] for rate in figures["tar_at_far"]] == [1e-3, 1e-2, 1e-1]


def test_lfws_size_takes_no_time() -> None:
    """6,000 pairs of 128 dimensions, all folds and thresholds of the three protocols."""
    rng = np.random.default_rng(0)
    trials = Trials.in_order(np.tile(np.repeat([True, False], 300), 10))
    first, second = rng.normal(size=(2, 6000, 128)).astype(np.float32)
    start = time.process_time()
    openface.evaluate_openface(first, second, trials)
    insightface.evaluate_insightface(first, second, trials)
    facenet.evaluate_facenet(first, second, trials, "arccos", subtract_mean=True)
    assert time.process_time() - start < 2
