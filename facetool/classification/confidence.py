"""How sure an answer is: scores turned into probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetool.classification.fit import Labels
from facetool.classification.open_set import OpenSetThreshold, angle_of
from facetool.evaluation.distances import Floats

_DEFAULT_SLOPE = 3.0
"""Where nobody has two images: three standard deviations decide nearly everything."""


@dataclass(frozen=True)
class Confidence:
    """Two scales.

    A name's confidence is the softmax of the classifier's scores (that it is this person and no
    other of those known) times the logistic of the similarity (that it is nobody else); that of
    ``unknown`` is one minus the latter. On the threshold the logistic is one half, so that
    answers and confidences agree.

    Attributes:
        temperature: divides the classifier's scores before the softmax.
        slope: of the logistic, per radian; 0 where there is no threshold.
    """

    temperature: float
    slope: float

    def of_class(self, scores: Floats) -> Floats:
        """The softmax's highest value, (N, C) to (N,)."""
        scaled = (scores - scores.max(axis=1, keepdims=True)) / self.temperature
        return np.asarray(1 / np.exp(scaled).sum(axis=1))

    def of_similarity(self, cosines: Floats, threshold: OpenSetThreshold) -> Floats:
        """Probability that a face is not a stranger's, (N,) to (N,)."""
        if self.slope == 0:
            return np.ones(len(cosines))
        above = self.slope * (angle_of(threshold.cosine) - angle_of(cosines))
        return np.asarray(1 / (1 + np.exp(-above.clip(-50, 50))))


def fit_temperature(scores: Floats, labels: Labels) -> float:
    """The temperature that makes held-out images' own names most likely.

    A classifier without any error would get infinite confidence; as Platt proposed, the names
    are therefore believed ``(N + 1) / (N + 2)`` only.

    Args:
        scores: (N, C) of images that were not trained on.
        labels: (N,).
    """
    from scipy.optimize import minimize_scalar

    others = scores.shape[1] - 1
    doubt = 1 / (len(labels) + 2)
    spread = float(np.std(scores)) or 1.0
    own = scores[np.arange(len(labels)), labels]
    mean_other = (scores.sum(axis=1) - own) / max(others, 1)
    wanted = (1 - doubt) * own + doubt * mean_other
    highest = scores.max(axis=1)

    def loss(log_temperature: float) -> float:
        temperature = np.exp(log_temperature)
        shifted = (scores - highest[:, None]) / temperature
        log_sum = np.log(np.exp(shifted).sum(axis=1))
        return float((log_sum - (wanted - highest) / temperature).mean())

    centre = np.log(spread)
    found = minimize_scalar(loss, bounds=(centre - 8, centre + 4), method="bounded")
    return float(np.exp(found.x))


def fit_slope(
    genuine: NDArray[np.float64], impostors: NDArray[np.float64], threshold: OpenSetThreshold
) -> float:
    """The logistic through the threshold that tells known people from strangers best.

    Args:
        genuine: cosines of images to their own person.
        impostors: cosines of images to the most similar other person.
        threshold: where the logistic is one half.
    """
    from sklearn.linear_model import LogisticRegression

    if threshold.source == "none":
        return 0.0
    # Standardised, so that scikit-learn's regularisation keeps the slope finite.
    unit = threshold.deviation or 0.1
    if len(genuine) == 0 or len(impostors) == 0:
        return _DEFAULT_SLOPE / unit
    cosines = np.concatenate([genuine, impostors])
    above = (angle_of(threshold.cosine) - angle_of(cosines))[:, None] / unit
    known = np.arange(len(cosines)) < len(genuine)
    model = LogisticRegression(fit_intercept=False, class_weight="balanced").fit(above, known)
    return max(float(model.coef_[0, 0]), 0.1) / unit
