"""Lists of mislabelled images, and how InsightFace's ``remove_noises.py`` takes them out.

A noisy distractor is left out. A noisy image of a probe's person is replaced by the
centre of that person's other embeddings, so that the number of trials stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetool.evaluation.distances import normalize
from facetool.evaluation.pair_images import without_suffix
from facetool.files.text import read_text, same_spelling


class NoiseList:
    """Names of images, as whole paths or only their ends.

    Args:
        entries: such as ``Aaron_Eckhart_136.png`` or ``375/37531198@N00/4174611825_0.jpg``.
            Suffixes do not matter.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = {without_suffix(same_spelling(entry.strip("/"))) for entry in entries}
        self._lengths = {entry.count("/") + 1 for entry in self._entries}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which images are in the list: one whose path ends with an entry is."""
        return np.array([self._has(name) for name in names], bool)

    def _has(self, name: str) -> bool:
        parts = without_suffix(same_spelling(name)).split("/")
        return any("/".join(parts[-length:]) in self._entries for length in self._lengths)


def read_noise_lists(paths: Iterable[Path]) -> NoiseList:
    """Read lists with a line per image; of lines with tabs the second column counts.

    Lines that start with ``#`` are comments.

    Raises:
        FormatError: a file cannot be read as text.
    """
    entries: list[str] = []
    for path in paths:
        for line in read_text(path).splitlines():
            if line.strip() and not line.startswith("#"):
                cells = line.strip().split("\t")
                entries.append(cells[min(1, len(cells) - 1)])
    return NoiseList(entries)


def replace_noisy(
    vectors: NDArray[np.float32], identities: NDArray[np.int64], noisy: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Put the centre of a person's clean embeddings in the place of the noisy ones.

    The centre is the sum of the clean ones at unit length; only its direction matters.
    InsightFace adds random numbers up to 0.001 to it, which change nothing that is measured.

    Args:
        vectors: (N, D).
        identities: (N,).
        noisy: (N,).

    Returns:
        The vectors, and which to keep: a person without any clean image has no centre.
    """
    cleaned, keep = vectors.copy(), np.ones(len(vectors), bool)
    for identity in np.unique(identities[noisy]):
        own = identities == identity
        clean = own & ~noisy
        if clean.any():
            cleaned[own & noisy] = normalize(normalize(vectors[clean]).sum(axis=0)[None])[0]
        else:
            keep[own] = False
    return cleaned, keep
