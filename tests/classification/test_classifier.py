import numpy as np
import pytest

from facetool.classification.algorithms import Linear
from facetool.classification.classifier import UNKNOWN, fit_classifier
from facetool.classification.fit import FITTERS
from facetool.classification.provenance import Provenance
from facetool.errors import UsageError

NAMES = [f"P{number:02}" for number in range(12)]


@pytest.mark.parametrize("kind", [kind for kind in FITTERS if "grid" not in kind])
def test_known_people_are_found_and_strangers_are_not(kind, draw):
    vectors, labels = draw(312, 8, size=64)
    known = labels < 12
    train_rows = known & (np.arange(len(labels)) % 2 == 0)
    made = fit_classifier(vectors[train_rows], labels[train_rows], NAMES, Provenance(), kind)
    test = made.answer(vectors[known & ~train_rows])
    names = made.names(test)
    right = np.mean(
        [n == NAMES[k] for n, k in zip(names, np.repeat(np.arange(12), 4), strict=True)]
    )
    assert right > (0.95 if kind != "decision-tree" else 0.3)
    strangers = made.answer(vectors[~known])
    assert strangers.known.mean() < 0.02
    assert made.names(strangers).count(UNKNOWN) == (~strangers.known).sum()
    for answers in (test, strangers):
        assert ((answers.confidence >= 0) & (answers.confidence <= 1)).all()
    assert made.cross_validation.images == 48 and made.cross_validation.folds == 4


def test_lda(draw):
    vectors, labels = draw(12, 8)
    made = fit_classifier(vectors, labels, NAMES, Provenance(), lda_dim=6)
    assert isinstance(made.model, Linear)
    assert made.model.weights.shape == (12, 6)
    assert (made.answer(vectors).best == labels).all()
    assert made.cross_validation.accuracy > 0.95
    for wrong in (12, 33):
        with pytest.raises(UsageError, match="12 people allow 11 at most"):
            fit_classifier(vectors, labels, NAMES, Provenance(), lda_dim=wrong)


def test_embeddings_are_scaled_only_where_the_network_says_so(draw):
    vectors, labels = draw(12, 6)
    lengths = np.random.default_rng(0).uniform(0.5, 20, size=(len(vectors), 1))
    made = fit_classifier(vectors, labels, NAMES, Provenance(unit_length=True))
    again = fit_classifier(vectors * lengths, labels, NAMES, Provenance(unit_length=True))
    np.testing.assert_allclose(again.means, made.means, atol=1e-12)
    raw = fit_classifier(vectors * lengths, labels, NAMES, Provenance(unit_length=False))
    assert np.linalg.norm(raw.means, axis=1).max() > 2


def test_too_few(draw):
    vectors, labels = draw(1, 5)
    with pytest.raises(UsageError, match="two people or more"):
        fit_classifier(vectors, labels, ["A"], Provenance())
    vectors, labels = draw(2, 3)
    made = fit_classifier(vectors, labels, ["A", "B"], Provenance())
    assert made.threshold.source == "none"
    assert UNKNOWN not in made.names(made.answer(-vectors))


def test_nobody_twice(draw):
    vectors, labels = draw(12, 1)
    made = fit_classifier(vectors, labels, NAMES, Provenance(), "nearest-mean")
    nothing = made.cross_validation
    assert (nothing.accuracy, nothing.std, nothing.folds, nothing.images) == (None, None, 0, 0)
    assert made.names(made.answer(vectors)) == NAMES
    with pytest.raises(UsageError, match="two images"):
        fit_classifier(vectors, labels, NAMES, Provenance(), lda_dim=2)


def test_no_faces(draw):
    vectors, labels = draw(12, 2)
    made = fit_classifier(vectors, labels, NAMES, Provenance())
    assert made.names(made.answer(vectors[:0])) == []


def test_many_people_are_cross_validated_once(draw, monkeypatch):
    monkeypatch.setattr("facetool.classification.classifier._MANY_PEOPLE", 11)
    vectors, labels = draw(12, 5)
    of_twelve = fit_classifier(vectors, labels, NAMES, Provenance()).cross_validation
    assert (of_twelve.folds, of_twelve.images, of_twelve.std) == (1, 12, None)
    vectors, labels = draw(11, 5)
    of_eleven = fit_classifier(vectors, labels, NAMES[:11], Provenance()).cross_validation
    assert (of_eleven.folds, of_eleven.images) == (5, 55)
