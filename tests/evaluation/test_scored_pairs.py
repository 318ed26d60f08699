import numpy as np
import pytest

from facetool.evaluation import facenet, insightface, openface
from facetool.evaluation.pairs import Trials
from facetool.evaluation.scored_pairs import ScoredPairs, score_pairs
from facetool.evaluation.verification import Verification

PAIRS = ScoredPairs(
    first=list("abcdefgh"),
    second=list("ABCDEFGH"),
    same=np.array([True, True, True, True, False, False, False, False]),
    distances=np.array([0.1, 0.9, 0.3, 0.8, 1.2, 0.4, 0.2, 0.5]),
    thresholds=np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
    similarities=np.linspace(1, 0, 8),
)


def test_the_worst_errors_come_first() -> None:
    assert [pair.first for pair in PAIRS.errors(accepted=True)] == ["g", "f"]
    rejects = PAIRS.errors(accepted=False)
    assert [pair.first for pair in rejects] == ["b", "d"]
    assert (rejects[0].second, rejects[0].distance, rejects[0].same) == ("B", 0.9, True)
    assert rejects[0].similarity == pytest.approx(6 / 7)
    # A distance equal to the threshold is no accept: "h" is judged rightly.
    assert [pair.first for pair in PAIRS.examples(9, accepted=False)] == ["e", "h"]


def test_examples_go_from_clear_to_close() -> None:
    assert [pair.first for pair in PAIRS.examples(2, accepted=True)] == ["a", "c"]
    assert [pair.first for pair in PAIRS.examples(1, accepted=False)] == ["e"]
    assert PAIRS.examples(0, accepted=True) == []


@pytest.mark.parametrize("protocol", ["openface", "insightface", "arccos with the mean subtracted"])
def test_errors_are_those_that_the_accuracy_counts(protocol: str) -> None:
    rng = np.random.default_rng(5)
    people = rng.normal(size=(400, 16))
    same = np.tile(np.repeat([True, False], 20), 10)
    first = (people + 0.8 * rng.normal(size=people.shape)).astype(np.float32)
    others = np.where(same[:, None], people, np.roll(people, 1, axis=0))
    second = (others + 0.8 * rng.normal(size=people.shape)).astype(np.float32)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    trials = Trials.in_order(same)
    names = [str(row) for row in range(400)]

    def evaluate() -> Verification:
        if protocol == "openface":
            return openface.evaluate_openface(first, second, trials)
        if protocol == "insightface":
            return insightface.evaluate_insightface(first, second, trials)
        return facenet.evaluate_facenet(first, second, trials, "arccos", subtract_mean=True)

    outcome = evaluate()
    pairs = score_pairs((names, names), (first, second), trials, outcome)
    errors = pairs.errors(accepted=True) + pairs.errors(accepted=False)
    assert len(errors) == round((1 - outcome.accuracy) * 400) > 10
    assert {pair.same == pair.accepted for pair in errors} == {False}
    cosine = float(first[7].astype(float) @ second[7].astype(float))
    assert pairs.similarities[7] == pytest.approx(cosine, abs=1e-6)
