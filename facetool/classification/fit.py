"""Training: scikit-learn's classifiers, turned into the arrays of :mod:`.algorithms`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.classification.algorithms import (
    Gaussians,
    KernelMachines,
    Linear,
    Model,
    Neighbours,
    Tree,
)
from facetool.evaluation.distances import Floats, normalize

Labels = NDArray[np.int64]

_SVM_GRID = (1, 10, 100, 1000)
_GAMMA_GRID = (0.0001, 0.001, 2)
_MIXTURE_IMAGES = 10
"""Images that a person must have for each further Gaussian of a mixture."""
_FOLDS, _SEED = 5, 0
"""Of cross-validation."""


@dataclass(frozen=True, eq=False)
class Lda:
    """Linear discriminant analysis in front of a classifier.

    Attributes:
        mean: (D,).
        projection: (D, d).
    """

    mean: Floats
    projection: Floats

    def __call__(self, vectors: Floats) -> Floats:
        """(N, D) to (N, d)."""
        return (vectors - self.mean) @ self.projection


def fit_lda(vectors: Floats, labels: Labels, dimensions: int) -> Lda:
    """The directions that tell people apart best; at most people - 1 of them exist.

    The scatter within people is shrunk as Ledoit and Wolf propose: without that, few images of
    each person make LDA worse than nothing.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=dimensions)
    _quietly(lda, vectors, labels)
    return Lda(vectors.mean(axis=0), np.ascontiguousarray(lda.scalings_[:, :dimensions]))


def fit_linear_svm(vectors: Floats, labels: Labels) -> Linear:
    """One hyperplane per person against all others, ``C = 1`` as OpenFace's.

    OpenFace's own ``SVC(kernel="linear", probability=True)`` trains an SVM per pair of
    people, six times over; for thousands of people this one stays linear in their number and
    names no worse. Everybody weighs the same, however many images there are. The primal problem
    is solved: with more images than dimensions that takes half the time, and no random numbers.
    """
    from sklearn.svm import LinearSVC

    return _linear(_quietly(LinearSVC(C=1, class_weight="balanced", dual=False), vectors, labels))


def fit_radial_svm(vectors: Floats, labels: Labels) -> KernelMachines:
    """RBF SVMs, one per pair of people, with OpenFace's ``C = 1`` and ``γ = 2``."""
    from sklearn.svm import SVC

    return _kernel_machines(SVC(C=1, gamma=2).fit(vectors, labels))


def fit_grid_search_svm(vectors: Floats, labels: Labels) -> Linear | KernelMachines:
    """The better of linear and RBF SVMs by cross-validation over OpenFace's grid."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC, LinearSVC

    folds = split_folds(labels)
    best: list[tuple[float, Any]] = []
    for svm, grid in (
        (LinearSVC(class_weight="balanced", dual=False), {"C": _SVM_GRID}),
        (SVC(), {"C": _SVM_GRID, "gamma": _GAMMA_GRID}),
    ):
        if not folds:
            return fit_linear_svm(vectors, labels)  # nobody has two images: nothing to compare by
        search = _quietly(GridSearchCV(svm, grid, cv=folds), vectors, labels)
        best.append((search.best_score_, search.best_estimator_))
    (linear_score, linear), (radial_score, radial) = best
    return _linear(linear) if linear_score >= radial_score else _kernel_machines(radial)


def fit_gmm(vectors: Floats, labels: Labels) -> Gaussians:
    """A Gaussian mixture per person, weighed by Bayes' rule.

    OpenFace fits one mixture over everybody, whose components have nothing to do with the names.
    Variances are kept from vanishing by the spread that images of one person have on average.
    """
    from sklearn.mixture import GaussianMixture

    floor = _spread(vectors, labels)
    means, variances, log_weights, owners = [], [], [], []
    for person, count in enumerate(np.bincount(labels)):
        own = vectors[labels == person]
        if count == 1:
            means.append(own)
            variances.append(np.full_like(own, floor))
            shares = np.ones(1)
        else:
            mixture = GaussianMixture(
                1 + count // _MIXTURE_IMAGES,
                covariance_type="diag",
                reg_covar=floor,
                random_state=0,
            )
            _quietly(mixture, own)
            means.append(mixture.means_)
            variances.append(mixture.covariances_)
            shares = mixture.weights_
        log_weights.append(np.log(np.maximum(shares, 1e-300)) - np.log(labels.max() + 1))
        owners.append(np.full(len(shares), person))
    return Gaussians(*(np.concatenate(part) for part in (means, variances, log_weights, owners)))


def fit_gaussian_nb(vectors: Floats, labels: Labels) -> Gaussians:
    """Gaussian naive Bayes with equal priors for everybody.

    The largest variance is added to each, because people with one image have none of their own.
    """
    from sklearn.naive_bayes import GaussianNB

    classes = int(labels.max()) + 1
    bayes = GaussianNB(priors=np.full(classes, 1 / classes), var_smoothing=1)
    bayes.fit(vectors, labels)
    variances = _floored(bayes.var_, vectors)
    return Gaussians(
        bayes.theta_, variances, np.log(bayes.class_prior_), np.arange(classes, dtype=np.int64)
    )


def fit_decision_tree(vectors: Floats, labels: Labels) -> Tree:
    """A tree of depth 20 at most, as OpenFace's."""
    from sklearn.tree import DecisionTreeClassifier

    fitted = DecisionTreeClassifier(max_depth=20, random_state=0).fit(vectors, labels)
    tree = fitted.tree_
    here = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    counts = tree.value[:, 0]
    best = counts.argmax(axis=1)
    return Tree(
        np.where(leaf, here, tree.children_left),
        np.where(leaf, here, tree.children_right),
        np.where(leaf, 0, tree.feature).astype(np.int64),
        tree.threshold.copy(),
        best,
        counts[here, best] / counts.sum(axis=1),
        np.array(counts.shape[1]),
    )


def fit_nearest_mean(vectors: Floats, labels: Labels) -> Linear:
    """The cosine to each person's mean."""
    means = class_means(normalize(vectors), labels)
    return Linear(normalize(means), np.zeros(len(means)))


def fit_nearest_neighbours(vectors: Floats, labels: Labels) -> Neighbours:
    """The three nearest images by cosine; fewer where nobody has that many."""
    neighbours = min(3, int(np.bincount(labels).max()))
    classes = int(labels.max()) + 1
    return Neighbours(normalize(vectors), labels, np.array(classes), np.array(neighbours))


FITTERS: dict[str, Callable[[Floats, Labels], Model]] = {
    "linear-svm": fit_linear_svm,
    "radial-svm": fit_radial_svm,
    "grid-search-svm": fit_grid_search_svm,
    "gmm": fit_gmm,
    "decision-tree": fit_decision_tree,
    "gaussian-nb": fit_gaussian_nb,
    "nearest-mean": fit_nearest_mean,
    "nearest-neighbours": fit_nearest_neighbours,
}
"""By the name that users give. Without hyphens and in any case they are OpenFace's names."""


def class_means(vectors: Floats, labels: Labels) -> Floats:
    """The mean of each class's vectors, (N, D) to (C, D)."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    return np.asarray(np.add.reduceat(vectors[order], starts, axis=0) / counts[:, None])


def split_folds(labels: Labels) -> list[tuple[Labels, Labels]]:
    """Training and test rows of each fold; every person stays in every training part.

    The images of each person are dealt out to the folds in turn, in random order. People with
    one image are trained on and never tested. Where nobody has two images there are no folds.
    """
    counts = np.bincount(labels)
    folds = min(_FOLDS, int(counts.max()))
    if folds < 2:
        return []
    rng = np.random.default_rng(_SEED)
    fold = np.empty(len(labels), np.int64)
    first = rng.integers(folds, size=len(counts))
    shuffled = rng.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    within = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    fold[order] = (first[labels[order]] + within) % folds
    tested = counts[labels] > 1
    parts = [(np.flatnonzero((fold != k) | ~tested), fold == k) for k in range(folds)]
    return [
        (train, np.flatnonzero(test & tested)) for train, test in parts if (test & tested).any()
    ]


def _spread(vectors: Floats, labels: Labels) -> float:
    """Mean variance of a coordinate within one person's images."""
    counts = np.bincount(labels)
    several = int((counts - 1).sum())
    if several == 0:
        return float(_floored(vectors.var(axis=0).mean(), vectors))
    residues = vectors - class_means(vectors, labels)[labels]
    return float(_floored(np.square(residues).sum() / several / vectors.shape[1], vectors))


def _floored(variances: Floats, vectors: Floats) -> Floats:
    """Variances, above 0 where there is none but rounding: embeddings that are all the same."""
    scale = float(np.square(vectors).mean()) or 1.0
    return np.where(variances > 1e-12 * scale, variances, 1e-6 * scale)


def _quietly(estimator: Any, *data: Any) -> Any:
    """Fit; users need not know that an optimiser stopped early or somebody has one image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(*data)


def _linear(svm: Any) -> Linear:
    weights, bias = svm.coef_, svm.intercept_
    if len(weights) == 1:  # two people share one hyperplane
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    return Linear(weights, bias)


def _kernel_machines(svm: Any) -> KernelMachines:
    # For two classes scikit-learn turns the sign, so that positive means the second.
    sign = -1.0 if len(svm.classes_) == 2 else 1.0
    return KernelMachines(
        svm.support_vectors_,
        svm.n_support_.astype(np.int64),
        sign * svm.dual_coef_,
        sign * svm.intercept_,
        np.array(float(svm.gamma)),
    )
