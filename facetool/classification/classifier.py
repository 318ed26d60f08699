"""A trained classifier: from embeddings to names, ``unknown`` included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.alignment.recipes import Recipe
from facetool.classification.algorithms import Model
from facetool.classification.choices import DEFAULT_FPIR
from facetool.classification.confidence import Confidence, fit_slope, fit_temperature
from facetool.classification.fit import (
    FITTERS,
    Labels,
    Lda,
    class_means,
    fit_lda,
    split_folds,
)
from facetool.classification.open_set import (
    FEWEST_PEOPLE,
    OpenSetThreshold,
    Strangers,
    calibrate,
    genuine,
    impostors,
    similarities,
)
from facetool.classification.provenance import Provenance
from facetool.errors import UsageError
from facetool.evaluation.distances import Floats, normalize
from facetool.files.text import counted

UNKNOWN = "unknown"

_MANY_PEOPLE = 1000
"""Above it one fold of the cross-validation is run: training takes minutes there."""

_TEMPERATURE_ROWS = 2000


@dataclass(frozen=True)
class CrossValidation:
    """How well people who were trained on are named on images that were not.

    Attributes:
        accuracy: share of the images named right, nobody being unknown; None where nobody has
            two images.
        std: of the accuracies over the folds; None with fewer than two.
        folds: how many were run.
        images: how many were named.
    """

    accuracy: float | None
    std: float | None
    folds: int
    images: int


@dataclass(frozen=True)
class Answers:
    """What a classifier says of N faces.

    Attributes:
        best: (N,) the number of the most likely person.
        similarity: (N,) cosine to that person's mean.
        known: (N,) whether that is enough.
        confidence: (N,) of the answer, 0…1.
    """

    best: Labels
    similarity: Floats
    known: NDArray[np.bool_]
    confidence: Floats


@dataclass(frozen=True, eq=False)
class Classifier:
    """Everything that is needed to name a face.

    Attributes:
        kind: key of :data:`facetool.classification.fit.FITTERS`.
        people: names, by number.
        model: scores them.
        lda: comes before the model, where there is one.
        means: (C, D) of each person's embeddings.
        threshold: of the similarity.
        confidence: turns scores into probabilities.
        provenance: which embeddings it understands.
        cross_validation: metrics of the training.
    """

    kind: str
    people: tuple[str, ...]
    model: Model
    lda: Lda | None
    means: Floats
    threshold: OpenSetThreshold
    confidence: Confidence
    provenance: Provenance
    cross_validation: CrossValidation

    @property
    def recipe(self) -> Recipe:
        """How photos become what its network takes."""
        return Recipe.from_dict(self.provenance.recipe)

    def prepare(self, vectors: NDArray[Any]) -> Floats:
        """Embeddings as the network compares them: float64, of unit length if it says so."""
        return prepare(vectors, self.provenance)

    def scores(self, vectors: Floats) -> Floats:
        """The model's scores of prepared embeddings, (N, D) to (N, C)."""
        return self.model.scores(self.lda(vectors) if self.lda else vectors)

    def answer(self, vectors: NDArray[Any]) -> Answers:
        """Name N faces by their embeddings (N, D), as the network gives them."""
        prepared = self.prepare(vectors)
        if not len(prepared):
            nothing = np.empty(0)
            return Answers(np.empty(0, np.int64), nothing, np.empty(0, bool), nothing)
        scores = self.scores(prepared)
        best = scores.argmax(axis=1)
        similarity = np.einsum("nd,nd->n", normalize(prepared), normalize(self.means[best]))
        known = similarity >= self.threshold.cosine
        of_similarity = self.confidence.of_similarity(similarity, self.threshold)
        named = self.confidence.of_class(scores) * of_similarity
        return Answers(best, similarity, known, np.where(known, named, 1 - of_similarity))

    def names(self, answers: Answers) -> list[str]:
        """The names of answers, ``unknown`` included."""
        return [
            self.people[best] if known else UNKNOWN
            for best, known in zip(answers.best, answers.known, strict=True)
        ]


def prepare(vectors: NDArray[Any], provenance: Provenance) -> Floats:
    """See :meth:`Classifier.prepare`."""
    exact = np.asarray(vectors, np.float64)
    return normalize(exact) if provenance.unit_length else exact


def fit_classifier(
    vectors: NDArray[Any],
    labels: Labels,
    people: Sequence[str],
    provenance: Provenance,
    kind: str = "linear-svm",
    lda_dim: int | None = None,
    fpir: float = DEFAULT_FPIR,
    published: float | None = None,
    strangers: tuple[NDArray[Any], Labels] | None = None,
) -> Classifier:
    """Train, cross-validate and calibrate a classifier.

    Args:
        vectors: (N, D) embeddings as the network gives them.
        labels: (N,) numbers of the people, 0…C-1, each at least once.
        people: C names.
        provenance: of the embeddings.
        kind: key of ``FITTERS``.
        lda_dim: dimensions to keep by LDA; None for no LDA.
        fpir: false positive identification rate of the threshold.
        published: similarity that is enough by the network's publisher, for too few people.
        strangers: embeddings of other people and their numbers, to calibrate the threshold on.

    Raises:
        UsageError: too few people or strangers, or more LDA dimensions than there can be.
    """
    prepared = prepare(vectors, provenance)
    _check(prepared, people, kind, lda_dim, published, strangers)
    cross_validation, temperature = _cross_validate(prepared, labels, kind, lda_dim)
    others = impostors(prepared, labels) if len(people) > 1 else np.empty(0)
    given = None
    if strangers is not None:
        given = Strangers(prepare(strangers[0], provenance), strangers[1])
        means = class_means(prepared, labels)
        others = np.append(others, similarities(given.vectors, means).max(axis=1))
    threshold = calibrate(prepared, labels, fpir, published, given)
    own = genuine(prepared, labels)
    slope = fit_slope(own[~np.isnan(own)], others, threshold)
    lda, model = _fit(prepared, labels, kind, lda_dim)
    return Classifier(
        kind,
        tuple(people),
        model,
        lda,
        class_means(prepared, labels),
        threshold,
        Confidence(temperature, slope),
        provenance,
        cross_validation,
    )


def _check(
    vectors: Floats,
    people: Sequence[str],
    kind: str,
    lda_dim: int | None,
    published: float | None,
    strangers: tuple[NDArray[Any], Labels] | None,
) -> None:
    if len(people) < 2 and (kind != "nearest-mean" or (published is None and strangers is None)):
        raise UsageError(
            f"a classifier needs two people or more, here are {len(people)}; one person takes "
            "nearest-mean, and strangers or a published threshold"
        )
    if strangers is not None and strangers[1].max(initial=-1) < FEWEST_PEOPLE - 1:
        raise UsageError(
            f"a threshold takes {FEWEST_PEOPLE} strangers or more, here are "
            f"{strangers[1].max(initial=-1) + 1}",
            "strangers",
        )
    if lda_dim is not None:
        most = min(len(people) - 1, vectors.shape[1])
        if not 1 <= lda_dim <= most:
            raise UsageError(
                f"lda_dim={lda_dim}: {counted(len(people), 'person', 'people')} allow {most} at "
                "most (one less than people, and no more than the embedding has)",
                f"lda_dim={lda_dim}",
            )
        if len(vectors) == len(people):
            raise UsageError("lda_dim: LDA needs people with two images or more", "lda_dim")


def _fit(
    vectors: Floats, labels: Labels, kind: str, lda_dim: int | None
) -> tuple[Lda | None, Model]:
    lda = fit_lda(vectors, labels, lda_dim) if lda_dim else None
    return lda, FITTERS[kind](lda(vectors) if lda else vectors, labels)


def _cross_validate(
    vectors: Floats, labels: Labels, kind: str, lda_dim: int | None
) -> tuple[CrossValidation, float]:
    """Accuracy on held-out images, and the temperature of the softmax fitted to them."""
    folds = split_folds(labels) if labels.max() else []  # one person is always named right
    if labels.max() >= _MANY_PEOPLE:
        folds = folds[:1]
    accuracies, images, kept, kept_labels = [], 0, [], []
    for rows, held_out in folds:
        lda, model = _fit(vectors[rows], labels[rows], kind, lda_dim)
        tested = vectors[held_out]
        scores = model.scores(lda(tested) if lda else tested)
        right = scores.argmax(axis=1) == labels[held_out]
        accuracies.append((right.mean(), len(right)))
        images += len(right)
        some = slice(None, None, 1 + len(right) * len(folds) // _TEMPERATURE_ROWS)
        kept.append(scores[some])
        kept_labels.append(labels[held_out[some]])
    if not folds:
        return CrossValidation(None, None, 0, 0), 1.0
    shares, sizes = np.array(accuracies).T
    std = float(shares.std()) if len(folds) > 1 else None
    results = CrossValidation(float(np.average(shares, weights=sizes)), std, len(folds), images)
    return results, fit_temperature(np.concatenate(kept), np.concatenate(kept_labels))
