"""Lists of mislabelled images, and how InsightFace's ``remove_noises.py`` takes them out.

A noisy distractor is left out. A noisy image of a probe's person is replaced by the
centre of that person's other embeddings, so that the number of trials stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.evaluation.distances import normalize
from facetool.evaluation.pair_images import without_suffix
from facetool.files.text import counted, read_text, same_spelling
from facetool.jobs.progress import listener


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


class NoiseLists:
    """Several lists as one, which keeps count of what each of them names.

    Args:
        lists: by the path of the file.

    Attributes:
        found: images named by each list so far.
    """

    def __init__(self, lists: Mapping[Path, NoiseList]) -> None:
        self._lists = lists
        self.found = dict.fromkeys(lists, 0)

    def __len__(self) -> int:
        return sum(map(len, self._lists.values()))

    def find(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which images are in any of the lists."""
        noisy = np.zeros(len(names), bool)
        for path, one in self._lists.items():
            found = one.find(names)
            self.found[path] += int(found.sum())
            noisy |= found
        return noisy

    def counts(self) -> list[dict[str, Any]]:
        """For each list ``path``, how many images are ``listed``, and ``found`` here."""
        return [
            {"path": str(path), "listed": len(one), "found": self.found[path]}
            for path, one in self._lists.items()
        ]

    def remark_unused(self) -> None:
        """Tell the user of each list that named nothing."""
        for path, found in self.found.items():
            if not found:
                listener().remark(
                    str(path),
                    f"lists {counted(len(self._lists[path]), 'image')}, none of which is here, so "
                    "nothing was removed; an entry is the end of an image's path, such as "
                    "person/image",
                )


def read_noise_lists(paths: Iterable[Path]) -> NoiseLists:
    """Read lists with a line per image; of lines with tabs the second column counts.

    Lines that start with ``#`` are comments.

    Raises:
        FormatError: a file cannot be read as text.
    """
    return NoiseLists({path: _read_noise_list(path) for path in paths})


def _read_noise_list(path: Path) -> NoiseList:
    entries: list[str] = []
    for line in read_text(path).split("\n"):
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
