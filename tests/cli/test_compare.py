"""The table of ``compare``."""

import numpy as np
import pytest

from facetool.cli.tables.compare import comparison_text
from facetool.detection.face import Box
from facetool.jobs.report import Report
from facetool.networks.pair_threshold import PairThreshold
from facetool.pipeline.compare import Comparison, ComparisonResult, PhotoFace


def result(threshold: PairThreshold | None) -> ComparisonResult:
    first, second = (PhotoFace("a.jpg", n, Box(0, 0, 9, 9), np.ones(2, np.float32)) for n in (1, 2))
    same = None if threshold is None else True
    return ComparisonResult([Comparison(first, second, 0.25, 0.875, same)], threshold, Report())


@pytest.mark.parametrize(
    ("threshold", "verdict", "below"),
    [
        (PairThreshold(0.36, "test"), "same", "threshold: squared L2 below 0.36 (test)"),
        (
            PairThreshold(0.36, "test", 0.001),
            "same",
            "threshold: squared L2 below 0.36 (test, false accept rate 0.001)",
        ),
        (None, "-", "No threshold is known for these weights; --threshold X gives a verdict."),
    ],
)
def test_verdict_and_where_it_comes_from(
    threshold: PairThreshold | None, verdict: str, below: str
) -> None:
    _, row, last = comparison_text(result(threshold)).splitlines()
    assert row.split() == ["0.2500", "+0.8750", verdict, "a.jpg", "|", "a.jpg#2"]
    assert last == below
