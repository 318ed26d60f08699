"""Recognising the classifiers of OpenFace's ``demos/classifier.py``, to say how to get their like.

Such a file is a pickle of scikit-learn's objects (``LabelEncoder`` and ``SVC``, say). Loading it
runs whatever it names, and the objects fit one version of scikit-learn. It is looked at as bytes:
nothing in it is ever loaded.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_MOST = 1 << 28
_PICKLE = re.compile(rb"\A(?:\x80[\x02-\x05]|\()")
_ENCODER = b"LabelEncoder"
_KINDS = (
    (b"GridSearchCV", "grid-search-svm"),
    (b"GaussianNB", "gaussian-nb"),
    (b"GaussianMixture", "gmm"),
    (b"GMM", "gmm"),
    (b"DecisionTreeClassifier", "decision-tree"),
    (b"SVC", "linear-svm"),
)
"""Names of classes, in the order in which one contains another."""
_RADIAL = re.compile(rb"(?<![a-z])rbf")
_LDA = re.compile(rb"LinearDiscriminantAnalysis|lda\nLDA")


class OpenFaceClassifier(NamedTuple):
    """What such a file is.

    Attributes:
        kind: the classifier that facetool has in its place; empty for a deep belief network.
        lda: whether LDA comes before it.
    """

    kind: str
    lda: bool


def is_pickle(path: Path) -> bool:
    """Whether a file begins as pickles do; one of safetensors may, by chance, as well."""
    try:
        with path.open("rb") as file:
            return _PICKLE.match(file.read(2)) is not None
    except OSError:
        return False


def recognise_pickle(path: Path) -> OpenFaceClassifier | None:
    """What a file of OpenFace's is; None where it is none, or cannot be read."""
    try:
        if path.stat().st_size > _MOST:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    if not (_PICKLE.match(data) and _ENCODER in data and b"sklearn" in data):
        return None
    kind = next((kind for name, kind in _KINDS if name in data), "")
    if kind == "linear-svm" and _RADIAL.search(data):
        kind = "radial-svm"
    return OpenFaceClassifier(kind, _LDA.search(data) is not None)
