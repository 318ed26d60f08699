"""Embeddings as points of a plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facetool.classification.algorithms import Floats


def project(vectors: Floats) -> NDArray[np.float32]:
    """t-SNE: (N, D) to (N, 2), the same points every time. Needs four images or more."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=0)
    return np.asarray(tsne.fit_transform(vectors.astype(np.float32)), np.float32)
