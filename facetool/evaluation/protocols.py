"""The protocols of verification by name. Light: NumPy is not imported before they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facetool.errors import UsageError, check_choice

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from facetool.evaluation.pairs import Trials
    from facetool.evaluation.verification import Verification

PROTOCOLS = ("openface", "insightface", "facenet")

METRICS = ("squared-l2", "arccos")
"""Distances that facenet's protocol knows."""


def check_protocol(protocol: str, metric: str, subtract_mean: bool) -> None:
    """Refuse a protocol that is not there, or does not know the settings.

    Raises:
        UsageError: so it is.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    check_choice("metric", metric, METRICS)
    if protocol != "facenet" and (metric != "squared-l2" or subtract_mean):
        raise UsageError(
            f"metric and mean subtraction belong to the facenet protocol, not to {protocol}"
        )


def evaluate_pairs(
    first: ArrayLike,
    second: ArrayLike,
    trials: Trials,
    *,
    protocol: str,
    metric: str = "squared-l2",
    subtract_mean: bool = False,
) -> Verification:
    """Verify pairs of embeddings, (N, D) each, by a protocol that :func:`check_protocol` takes.

    Args:
        first: embeddings of the pairs' first images.
        second: embeddings of their second images.
        trials: N pairs.
        protocol: one of :data:`PROTOCOLS`.
        metric: for facenet, one of :data:`METRICS`.
        subtract_mean: for facenet, subtract the training folds' mean.

    Raises:
        FacetoolError: too few pairs to cross-validate.
    """
    if protocol == "openface":
        from facetool.evaluation.openface import evaluate_openface

        return evaluate_openface(first, second, trials)
    if protocol == "insightface":
        from facetool.evaluation.insightface import evaluate_insightface

        return evaluate_insightface(first, second, trials)
    from facetool.evaluation.facenet import evaluate_facenet

    return evaluate_facenet(first, second, trials, metric, subtract_mean)
