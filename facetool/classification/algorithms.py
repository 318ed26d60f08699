"""Trained classifiers as plain arrays: what each needs to score a face, and nothing else.

scikit-learn trains them (:mod:`facetool.classification.fit`); here they only predict, in NumPy.
So a file of them holds numbers alone, cannot run code, and outlives every change of
scikit-learn's own classes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError
from facetool.evaluation.distances import Floats, normalize
from facetool.files.text import counted

_BLOCK = 1 << 24
"""Numbers that a step of a prediction may hold at once: 128 MB."""


@dataclass(frozen=True)
class Model:
    """A trained classifier of D-dimensional vectors into C classes.

    Its fields are its arrays. ``_SHAPES`` gives for each the shape in terms of the sizes that
    bind them together, and ``_INDICES`` names those that hold whole numbers, each with the size
    that they must stay below.
    """

    name: ClassVar[str]
    _SHAPES: ClassVar[dict[str, str]]
    _INDICES: ClassVar[dict[str, str]] = {}

    def scores(self, vectors: Floats) -> Floats:
        """How well each class fits: (N, D) to (N, C), the highest fits best."""
        raise NotImplementedError

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, as the constructor takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self, dimensions: int, classes: int) -> None:
        """Refuse arrays that do not fit each other.

        Raises:
            FormatError: a shape, type or index cannot be.
        """
        sizes = {"D": dimensions, "C": classes, "C-1": classes - 1}
        sizes["P"] = classes * (classes - 1) // 2
        for name, array in self.arrays().items():
            wanted = self._SHAPES[name].split()
            if array.ndim != len(wanted) or not all(
                sizes.setdefault(letter, size) == size
                for letter, size in zip(wanted, array.shape, strict=True)
            ):
                raise FormatError(f"the array {name!r} has the wrong shape {array.shape}")
            bound = self._INDICES.get(name)
            if array.dtype.kind != ("f" if bound is None else "i"):
                raise FormatError(f"the array {name!r} has the wrong type {array.dtype}")
            if bound is None and not np.isfinite(array).all():
                raise FormatError(f"the array {name!r} holds numbers that are not finite")
            if bound is not None and array.size and not 0 <= array.min() <= array.max():
                raise FormatError(f"the array {name!r} holds negative numbers")
            if name == "classes" and int(array) != classes:
                raise FormatError(f"{counted(classes, 'name')} for {int(array):,} classes")
        for name, bound in self._INDICES.items():
            array = getattr(self, name)
            if bound in sizes and array.size and array.max() >= sizes[bound]:
                raise FormatError(f"the array {name!r} points outside of {sizes[bound]:,}")


@dataclass(frozen=True)
class Linear(Model):
    """One hyperplane per class: ``x·w + b``.

    Attributes:
        weights: (C, D).
        bias: (C,).
    """

    name: ClassVar[str] = "linear"
    _SHAPES: ClassVar[dict[str, str]] = {"weights": "C D", "bias": "C"}
    weights: Floats
    bias: Floats

    def scores(self, vectors: Floats) -> Floats:
        """Signed distances, in units of each hyperplane's margin."""
        return np.asarray(vectors @ self.weights.T + self.bias)


@dataclass(frozen=True)
class KernelMachines(Model):
    """Support vector machines with the kernel ``exp(-γ |x - s|²)``, one per pair of classes.

    Attributes:
        support: (S, D) support vectors, ordered by class.
        counts: (C,) how many each class has.
        coefficients: (C-1, S) as LIBSVM orders them: row ``j-1`` of class i's vectors belongs
            to the pair (i, j) for j > i, row ``j`` for j < i.
        intercepts: (P,) of the pairs (0, 1), (0, 2) …; a positive decision is for the first.
        gamma: () γ.
    """

    name: ClassVar[str] = "kernel-machines"
    _SHAPES: ClassVar[dict[str, str]] = {
        "support": "S D",
        "counts": "C",
        "coefficients": "C-1 S",
        "intercepts": "P",
        "gamma": "",
    }
    _INDICES: ClassVar[dict[str, str]] = {"counts": "any"}
    support: Floats
    counts: NDArray[np.int64]
    coefficients: Floats
    intercepts: Floats
    gamma: Floats

    def check(self, dimensions: int, classes: int) -> None:
        """As for all, and the counts must add up."""
        super().check(dimensions, classes)
        if int(self.counts.sum()) != len(self.support):
            raise FormatError("the array 'counts' does not add up to the support vectors")

    def scores(self, vectors: Floats) -> Floats:
        """Votes of the pairs, ties broken by their summed decisions, as scikit-learn does."""
        classes = len(self.counts)
        block = max(1, _BLOCK // (len(self.support) * 2 + classes * 4 + 1))
        parts = [self._scores(vectors[i : i + block]) for i in range(0, len(vectors), block)]
        return np.concatenate(parts) if parts else np.empty((0, classes))

    def _scores(self, vectors: Floats) -> Floats:
        squared = (
            np.square(vectors).sum(axis=1)[:, None]
            - 2 * vectors @ self.support.T
            + np.square(self.support).sum(axis=1)
        )
        kernel = np.exp(-self.gamma * squared.clip(min=0))
        ends = np.cumsum(self.counts)
        of_class = [slice(end - n, end) for end, n in zip(ends, self.counts, strict=True)]
        votes = np.zeros((len(vectors), len(self.counts)))
        sums = np.zeros_like(votes)
        pair = 0
        for i, own in enumerate(of_class):
            for j in range(i + 1, len(of_class)):
                other = of_class[j]
                decision = (
                    kernel[:, own] @ self.coefficients[j - 1, own]
                    + kernel[:, other] @ self.coefficients[i, other]
                    + self.intercepts[pair]
                )
                won = decision > 0
                votes[:, i] += won
                votes[:, j] += ~won
                sums[:, i] += decision
                sums[:, j] -= decision
                pair += 1
        return np.asarray(votes + sums / (3 * (np.abs(sums) + 1)))


@dataclass(frozen=True)
class Gaussians(Model):
    """A mixture of axis-parallel Gaussians per class, weighed by Bayes' rule.

    Attributes:
        means: (K, D) of all components.
        variances: (K, D), positive.
        log_weights: (K,) logarithm of the class's prior times the component's share of it.
        owners: (K,) the class of each component, in ascending order, each class at least once.
    """

    name: ClassVar[str] = "gaussians"
    _SHAPES: ClassVar[dict[str, str]] = {
        "means": "K D",
        "variances": "K D",
        "log_weights": "K",
        "owners": "K",
    }
    _INDICES: ClassVar[dict[str, str]] = {"owners": "C"}
    means: Floats
    variances: Floats
    log_weights: Floats
    owners: NDArray[np.int64]

    def check(self, dimensions: int, classes: int) -> None:
        """As for all, and variances must be positive, and every class have its component."""
        super().check(dimensions, classes)
        if not (self.variances > 0).all():
            raise FormatError("the array 'variances' holds a variance that is not positive")
        if len(self.owners) < classes or set(np.diff(self.owners, prepend=-1).tolist()) - {0, 1}:
            raise FormatError("the array 'owners' is not in ascending order")
        if self.owners[-1] != classes - 1:
            raise FormatError("the array 'owners' leaves classes out")

    def scores(self, vectors: Floats) -> Floats:
        """Logarithm of the joint density of vector and class."""
        precisions = 1 / self.variances
        constants = (
            self.log_weights
            - 0.5 * (np.square(self.means) * precisions).sum(axis=1)
            - 0.5 * np.log(2 * np.pi * self.variances).sum(axis=1)
        )
        starts = np.flatnonzero(np.diff(self.owners, prepend=-1))
        block = max(1, _BLOCK // len(self.means))
        parts = []
        for start in range(0, len(vectors), block):
            x = vectors[start : start + block]
            of_component = (
                x @ (self.means * precisions).T - 0.5 * np.square(x) @ precisions.T + constants
            )
            parts.append(np.logaddexp.reduceat(of_component, starts, axis=1))
        return np.concatenate(parts) if parts else np.empty((0, len(starts)))


@dataclass(frozen=True)
class Tree(Model):
    """A binary decision tree; each leaf names one class.

    Attributes:
        left: (T,) node to go to where ``x[feature] <= threshold``; a leaf points to itself.
        right: (T,) node to go to otherwise. Children come after their parents.
        feature: (T,) index into the vector.
        threshold: (T,).
        leaf_class: (T,) the most frequent class.
        leaf_share: (T,) its share of the training vectors there, 0…1.
        classes: () C.
    """

    name: ClassVar[str] = "tree"
    _SHAPES: ClassVar[dict[str, str]] = {
        "left": "T",
        "right": "T",
        "feature": "T",
        "threshold": "T",
        "leaf_class": "T",
        "leaf_share": "T",
        "classes": "",
    }
    _INDICES: ClassVar[dict[str, str]] = {
        "left": "T",
        "right": "T",
        "feature": "D",
        "leaf_class": "C",
        "classes": "any",
    }
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Floats
    leaf_class: NDArray[np.int64]
    leaf_share: Floats
    classes: NDArray[np.int64]

    def check(self, dimensions: int, classes: int) -> None:
        """As for all, and no path may lead back up."""
        super().check(dimensions, classes)
        here = np.arange(len(self.left))
        leaf = (self.left == here) & (self.right == here)
        if not len(here) or not (leaf | (self.left > here) & (self.right > here)).all():
            raise FormatError("the tree leads back to itself")
        if not ((self.leaf_share > 0) & (self.leaf_share <= 1)).all():
            raise FormatError("the array 'leaf_share' holds what is no share")

    def scores(self, vectors: Floats) -> Floats:
        """Logarithm of each class's share of the leaf; the others share what is left."""
        node = np.zeros(len(vectors), np.int64)
        rows = np.arange(len(vectors))
        while True:
            feature = self.feature[node]
            goes_left = vectors[rows, feature].astype(np.float32) <= self.threshold[node]
            following = np.where(goes_left, self.left[node], self.right[node])
            if (following == node).all():
                break
            node = following
        share = self.leaf_share[node]
        others = np.maximum((1 - share) / max(int(self.classes) - 1, 1), 1e-6)
        scores = np.repeat(np.log(others)[:, None], int(self.classes), axis=1)
        scores[rows, self.leaf_class[node]] = np.log(share)
        return np.asarray(scores)


@dataclass(frozen=True)
class Neighbours(Model):
    """The training vectors themselves; the nearest by cosine vote.

    Attributes:
        gallery: (M, D) of unit length.
        owners: (M,) their classes.
        classes: () C.
        neighbours: () how many vote.
    """

    name: ClassVar[str] = "neighbours"
    _SHAPES: ClassVar[dict[str, str]] = {
        "gallery": "M D",
        "owners": "M",
        "classes": "",
        "neighbours": "",
    }
    _INDICES: ClassVar[dict[str, str]] = {"owners": "C", "classes": "any", "neighbours": "any"}
    gallery: Floats
    owners: NDArray[np.int64]
    classes: NDArray[np.int64]
    neighbours: NDArray[np.int64]

    def check(self, dimensions: int, classes: int) -> None:
        """As for all, and there must be neighbours to ask."""
        super().check(dimensions, classes)
        if not 1 <= int(self.neighbours) <= len(self.gallery):
            raise FormatError("the array 'neighbours' is not a number of neighbours")

    def scores(self, vectors: Floats) -> Floats:
        """Logarithm of each class's share of the votes, each worth ``(1 - cosine)⁻²``."""
        block = max(1, _BLOCK // len(self.gallery))
        parts = [self._scores(vectors[i : i + block]) for i in range(0, len(vectors), block)]
        return np.concatenate(parts) if parts else np.empty((0, int(self.classes)))

    def _scores(self, vectors: Floats) -> Floats:
        distances = 1 - normalize(vectors) @ self.gallery.T
        count = int(self.neighbours)
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        votes = np.take_along_axis(distances, nearest, axis=1).clip(min=1e-6) ** -2
        shares = np.zeros((len(vectors), int(self.classes)))
        np.add.at(shares, (np.arange(len(vectors))[:, None], self.owners[nearest]), votes)
        return np.asarray(np.log(np.maximum(shares / votes.sum(axis=1, keepdims=True), 1e-6)))


MODELS: dict[str, type[Model]] = {
    model.name: model for model in (Linear, KernelMachines, Gaussians, Tree, Neighbours)
}
"""By the name that stands in a file."""
