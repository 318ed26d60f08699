"""Each model must predict what the scikit-learn estimator predicts that it was taken from."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from facetool.classification import fit
from facetool.classification.algorithms import KernelMachines
from facetool.errors import FormatError


@pytest.fixture(params=[2, 3, 8])
def data(request, draw):
    people = request.param
    vectors, labels = draw(people, 9, seed=people, scatter=1.5)
    test = draw(people, 40, seed=people + 100, scatter=2)[0]
    return vectors, labels, test


def test_linear_svm(data):
    vectors, labels, test = data
    theirs = LinearSVC(C=1, class_weight="balanced", dual=False).fit(vectors, labels)
    ours = fit.fit_linear_svm(vectors, labels).scores(test)
    assert (ours.argmax(axis=1) == theirs.predict(test)).all()
    decisions = theirs.decision_function(test)
    np.testing.assert_allclose(ours[:, 1] if decisions.ndim == 1 else ours, decisions, atol=1e-9)


def test_radial_svm(data):
    vectors, labels, test = data
    theirs = SVC(C=1, gamma=2, break_ties=True).fit(vectors, labels)
    ours = fit.fit_radial_svm(vectors, labels).scores(test)
    decisions = theirs.decision_function(test)
    if decisions.ndim == 1:
        assert ((ours[:, 1] > ours[:, 0]) == (decisions > 0)).all()
    else:
        np.testing.assert_allclose(ours, decisions, atol=1e-9)


def test_radial_svm_in_blocks(data, monkeypatch):
    vectors, labels, test = data
    model = fit.fit_radial_svm(vectors, labels)
    whole = model.scores(test)
    monkeypatch.setattr("facetool.classification.algorithms._BLOCK", 1)
    np.testing.assert_allclose(model.scores(test), whole, atol=1e-12)


def test_naive_bayes(data):
    vectors, labels, test = data
    classes = labels.max() + 1
    theirs = GaussianNB(priors=np.full(classes, 1 / classes), var_smoothing=1).fit(vectors, labels)
    ours = fit.fit_gaussian_nb(vectors, labels).scores(test)
    np.testing.assert_allclose(ours, theirs.predict_joint_log_proba(test), rtol=1e-9)


def _by_person(vectors, labels):
    return [vectors[labels == person] for person in range(labels.max() + 1)]


@pytest.mark.parametrize(("images", "gaussians"), [(1, 1), (2, 1), (9, 1), (10, 2), (19, 2)])
def test_a_person_has_another_gaussian_for_each_ten_images(images, gaussians, draw):
    assert len(fit.fit_gmm(*draw(2, images)).owners) == 2 * gaussians


def test_mixtures(data):
    vectors, labels, test = data
    vectors, labels = np.tile(vectors, (3, 1)), np.tile(labels, 3)  # 27 each: three Gaussians
    model = fit.fit_gmm(vectors, labels)
    assert len(model.owners) == 3 * (labels.max() + 1)
    residues = np.concatenate([v - v.mean(axis=0) for v in _by_person(vectors, labels)])
    floor = np.square(residues).sum(axis=0).mean() / (len(labels) - labels.max() - 1)
    for person in range(labels.max() + 1):
        theirs = GaussianMixture(3, covariance_type="diag", reg_covar=floor, random_state=0)
        theirs.fit(vectors[labels == person])
        expected = theirs.score_samples(test) - np.log(labels.max() + 1)
        np.testing.assert_allclose(model.scores(test)[:, person], expected, rtol=1e-7)


def test_tree(data):
    vectors, labels, test = data
    theirs = DecisionTreeClassifier(max_depth=20, random_state=0).fit(vectors, labels)
    ours = fit.fit_decision_tree(vectors, labels).scores(test)
    assert (ours.argmax(axis=1) == theirs.predict(test)).all()


def test_what_a_tree_cannot_tell_apart_is_shared():
    """Four equal images of two people and a third: scikit-learn's share for the first of them."""
    vectors = np.array([[0.0]] * 4 + [[1.0]] * 3)
    labels = np.array([0, 0, 0, 1, 2, 2, 2])
    theirs = DecisionTreeClassifier(max_depth=20, random_state=0).fit(vectors, labels)
    shares = np.exp(fit.fit_decision_tree(vectors, labels).scores(vectors))
    np.testing.assert_allclose(shares.max(axis=1), theirs.predict_proba(vectors).max(axis=1))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


def test_neighbours(data):
    vectors, labels, test = data
    theirs = KNeighborsClassifier(3, weights=lambda d: d**-2.0, metric="cosine")
    theirs.fit(vectors, labels)
    model = fit.fit_nearest_neighbours(vectors, labels)
    expected = np.log(np.maximum(theirs.predict_proba(test), 1e-6))
    np.testing.assert_allclose(model.scores(test), expected, atol=1e-9)
    # A training image is named after itself, and not by a division by zero.
    assert np.isfinite(model.scores(vectors)).all()
    assert (model.scores(vectors).argmax(axis=1) == labels).all()


def test_nearest_mean_is_the_cosine(data):
    vectors, labels, test = data
    scores = fit.fit_nearest_mean(5 * vectors, labels).scores(test)
    mean = vectors[labels == 1].mean(axis=0)
    expected = test @ mean / np.linalg.norm(mean)
    np.testing.assert_allclose(scores[:, 1], expected, atol=1e-12)


@pytest.mark.parametrize("kind", [kind for kind in fit.FITTERS if kind != "grid-search-svm"])
def test_every_model_passes_its_check(kind, data):
    vectors, labels, test = data
    model = fit.FITTERS[kind](vectors, labels)
    model.check(vectors.shape[1], labels.max() + 1)
    assert model.scores(test[:0]).shape == (0, labels.max() + 1)
    with pytest.raises(FormatError):
        model.check(vectors.shape[1], labels.max() + 2)
    if kind != "decision-tree":  # a tree needs only those coordinates that it asks for
        with pytest.raises(FormatError):
            model.check(vectors.shape[1] + 1, labels.max() + 1)


def test_grid_search_takes_the_better_machine():
    # One person sits inside the ring of the other: no hyperplane parts them.
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 60)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vectors = np.concatenate([ring, 0.1 * rng.normal(size=(60, 2))])
    labels = np.repeat([0, 1], 60)
    model = fit.fit_grid_search_svm(vectors, labels)
    assert isinstance(model, KernelMachines) and model.gamma == 2
    assert (model.scores(vectors).argmax(axis=1) == labels).all()


def test_the_grid_holds_openfaces(monkeypatch, draw):
    """That of its classifier.py: C of 1 to 1000, linear and with γ of 0.001 and 0.0001."""
    searched = []

    class Search(GridSearchCV):  # type: ignore[misc]
        def __init__(self, estimator, param_grid, cv=None):
            searched.append(param_grid)
            super().__init__(estimator, param_grid, cv=cv)

    monkeypatch.setattr("sklearn.model_selection.GridSearchCV", Search)
    fit.fit_grid_search_svm(*draw(2, 4))
    linear, radial = searched
    assert set(linear["C"]) == set(radial["C"]) == {1, 10, 100, 1000}
    assert {0.001, 0.0001, 2} == set(radial["gamma"])


@pytest.mark.parametrize(
    ("kind", "field", "change", "message"),
    [
        ("decision-tree", "left", lambda a: np.zeros_like(a), "leads back"),
        ("decision-tree", "left", lambda a: a + len(a), "points outside"),
        ("decision-tree", "leaf_class", lambda a: -1 - a, "negative"),
        ("decision-tree", "feature", lambda a: a.astype(float), "wrong type"),
        ("decision-tree", "leaf_share", lambda a: 2 * a, "no share"),
        ("gmm", "variances", lambda a: -a, "not positive"),
        ("gmm", "owners", lambda a: a[::-1].copy(), "ascending"),
        ("gaussian-nb", "owners", lambda a: np.minimum(a, 1), "ascending|leaves classes out"),
        ("radial-svm", "counts", lambda a: a + 1, "add up"),
        ("nearest-neighbours", "neighbours", lambda a: a + 10**9, "number of neighbours"),
        ("nearest-neighbours", "classes", lambda a: a + 10**9, "1,000,000,003 classes"),
        ("linear-svm", "bias", lambda a: a * np.nan, "not finite"),
        ("linear-svm", "bias", lambda a: a[:-1], "wrong shape"),
    ],
)
def test_arrays_that_cannot_be(kind, field, change, message, draw):
    vectors, labels = draw(3, 6)
    model = fit.FITTERS[kind](vectors, labels)
    broken = replace(model, **{field: change(getattr(model, field))})
    with pytest.raises(FormatError, match=message):
        broken.check(vectors.shape[1], 3)
