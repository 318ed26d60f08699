"""Protocols by name."""

import pytest

from facetool.errors import UsageError
from facetool.evaluation.facenet import evaluate_facenet
from facetool.evaluation.insightface import evaluate_insightface
from facetool.evaluation.openface import evaluate_openface
from facetool.evaluation.protocols import check_protocol, evaluate_pairs


def test_each_name_is_its_protocol(synthetic) -> None:  # type: ignore[no-untyped-def]
    first, second, trials = synthetic.first + 0.5, synthetic.second + 0.5, synthetic.trials
    expected_of = {
        "openface": evaluate_openface(first, second, trials),
        "insightface": evaluate_insightface(first, second, trials),
        "facenet": evaluate_facenet(first, second, trials),
    }
    for protocol, outcome in expected_of.items():
        found = evaluate_pairs(first, second, trials, protocol=protocol)
        assert found.as_dict() == outcome.as_dict()
    found = evaluate_pairs(
        first, second, trials, protocol="facenet", metric="arccos", subtract_mean=True
    )
    assert found.as_dict() == evaluate_facenet(first, second, trials, "arccos", True).as_dict()


@pytest.mark.parametrize(
    ("protocol", "metric", "subtract_mean", "message"),
    [
        ("lfw", "squared-l2", False, "^protocol='lfw': give one of openface, "),
        ("facenet", "cosine", False, "^metric='cosine': give one of squared-l2, "),
        ("openface", "arccos", False, "belong to the facenet protocol, not to openface"),
        ("insightface", "squared-l2", True, "belong to the facenet protocol, not to insightface"),
    ],
)
def test_settings_that_a_protocol_does_not_know(
    protocol: str, metric: str, subtract_mean: bool, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_protocol(protocol, metric, subtract_mean)


def test_settings_that_facenet_knows() -> None:
    check_protocol("facenet", "arccos", True)
