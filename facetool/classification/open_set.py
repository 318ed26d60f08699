"""The open set: how similar a face and a person are, and the threshold for a match.

The similarity of a face to a person is the cosine between its embedding and the mean of the
person's embeddings. It does not depend on the classifier, so that a name is kept only if the face
is like the person, whichever way the name was found.

The threshold is calibrated on held-out identities: everybody in the training data is compared
as a stranger with all others once. Naming the stranger takes one similarity above the threshold
among C people, so a false positive identification rate F asks for a rate ``1 - (1 - F)^(1/C)`` per
person. Few training sets have enough people to count so rare an event, but the angle between
different people is close to normally distributed (between uniform directions in D dimensions its
density is ``sin(angle)^(D-2)``, with tails lighter still); so its mean and deviation over all
pairs of people are taken, and the threshold is the prediction bound of a next pair: a quantile of
Student's t with as many degrees of freedom as there are pairs, less one. With few people it is
therefore more careful. People count the same, however many images they have.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.classification.fit import Labels, class_means
from facetool.evaluation.distances import Floats, normalize

FEWEST_PEOPLE = 5
"""With fewer there are less than ten pairs of people, too few for a bound."""

_BLOCK = 1 << 23


@dataclass(frozen=True)
class OpenSetThreshold:
    """The similarity below which a face is a stranger's.

    Attributes:
        cosine: -1…1.
        source: ``held-out identities``, ``network`` (published with the network's weights, its
            false positive identification rate unknown), or ``none``: everybody gets a name.
        fpir: the target false positive identification rate.
        people: held-out identities.
        pairs: similarities of a face and somebody else that were measured.
        deviation: of the angles between different people; 0 where they were not measured.
    """

    cosine: float
    source: str
    fpir: float
    people: int
    pairs: int
    deviation: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Strangers(NamedTuple):
    """Faces of people that are compared with others than themselves.

    Attributes:
        vectors: (M, D), prepared as those of the training data.
        labels: int64 (M,), 0…S-1.
    """

    vectors: Floats
    labels: Labels


def angle_of(cosine: Floats | float) -> Any:
    """Radians, 0…π; cosines that rounding put outside -1…1 are clipped."""
    return np.arccos(np.clip(cosine, -1, 1))


def similarities(vectors: Floats, means: Floats) -> Floats:
    """Cosine of each face to each person's mean, (N, D) and (C, D) to (N, C)."""
    return np.asarray(normalize(vectors) @ normalize(means).T)


def calibrate(
    vectors: Floats,
    labels: Labels,
    fpir: float,
    published: float | None = None,
    strangers: Strangers | None = None,
) -> OpenSetThreshold:
    """The threshold that names strangers at a chosen rate.

    Args:
        vectors: (N, D) of the training data.
        labels: (N,) 0…C-1.
        fpir: false positive identification rate, between 0 and 1.
        published: cosine that the network's publisher gives for two photos; taken where there
            are fewer than ``FEWEST_PEOPLE`` people.
        strangers: ``FEWEST_PEOPLE`` or more other people, to be compared with those of the
            training data instead of these with each other.
    """
    from scipy.stats import t

    people = int(labels.max()) + 1
    if strangers is None and people < FEWEST_PEOPLE:
        if published is None:
            return OpenSetThreshold(-1.0, "none", fpir, people, 0, 0.0)
        return OpenSetThreshold(published, "network", fpir, people, 0, 0.0)
    means = class_means(vectors, labels)
    compared = Strangers(vectors, labels) if strangers is None else strangers
    counts = np.bincount(compared.labels)
    total, squares = 0.0, 0.0
    block = max(1, _BLOCK // people)
    for start in range(0, len(compared.vectors), block):
        own = compared.labels[start : start + block]
        angles = angle_of(similarities(compared.vectors[start : start + block], means))
        if strangers is None:
            angles[np.arange(len(own)), own] = 0
        weights = 1 / counts[own]
        total += float(weights @ angles.sum(axis=1))
        squares += float(weights @ np.square(angles).sum(axis=1))
    others = people if strangers is not None else people - 1
    compared_pairs = len(counts) * others
    mean = total / compared_pairs
    # Two people of the training data are compared both ways.
    pairs = compared_pairs if strangers is not None else compared_pairs // 2
    variance = squares / compared_pairs - mean**2
    deviation = float(np.sqrt(max(variance, 0.0) * pairs / (pairs - 1)))
    per_person = -np.expm1(np.log1p(-fpir) / people)
    bound = mean
    if deviation > 0:  # a rate of next to nothing is infinitely many deviations away
        bound -= deviation * float(t.isf(per_person, pairs - 1)) * np.sqrt(1 + 1 / pairs)
    cosine = float(np.cos(np.clip(bound, 0, np.pi)))
    measured = len(compared.vectors) * others
    return OpenSetThreshold(cosine, "held-out identities", fpir, len(counts), measured, deviation)


def genuine(vectors: Floats, labels: Labels) -> NDArray[np.float64]:
    """Cosine of each image to the mean of the same person's other images; NaN if it has none."""
    counts = np.bincount(labels)[labels][:, None]
    means = class_means(vectors, labels)[labels]
    with np.errstate(divide="ignore", invalid="ignore"):
        others = (counts * means - vectors) / (counts - 1)
    cosines = np.einsum("nd,nd->n", normalize(vectors), normalize(others))
    return np.where(counts[:, 0] > 1, cosines, np.nan)


def impostors(vectors: Floats, labels: Labels) -> NDArray[np.float64]:
    """Cosine of each image to the most similar other person's mean."""
    means = class_means(vectors, labels)
    best = np.empty(len(vectors))
    block = max(1, _BLOCK // len(means))
    for start in range(0, len(vectors), block):
        own = labels[start : start + block]
        cosines = similarities(vectors[start : start + block], means)
        cosines[np.arange(len(own)), own] = -np.inf
        best[start : start + block] = cosines.max(axis=1)
    return best
