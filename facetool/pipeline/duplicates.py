"""``outliers --duplicates``: photos that are there more than once, perhaps not to the byte."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.classification.neighbours import neighbour_graph
from facetool.embedding.good_crops import leave_out_poor
from facetool.embedding.people import UNSORTED, read_people, same_person_threshold
from facetool.embedding.represented_crops import Crops
from facetool.errors import FacetoolError, ImageError
from facetool.files.text import printable
from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report

SHARE = 0.25
"""Of the threshold between people: the squared L2 within which two crops are compared."""

CORRELATION = 0.95
"""Of two crops, from which on they are cut from the same photo."""

_EDGE = 24
"""Pixels of a crop when it is compared."""

_PER_THREAD = 8


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Images that show the same photo.

    Attributes:
        images: two or more, as in ``labels.csv``.
        people: whose folders they lie in, one for each image; empty for those in no folder.
        correlation: of the two that are least alike, of those that were compared.
        squared_l2: the largest between two of those.
    """

    images: list[str]
    people: list[str]
    correlation: float
    squared_l2: float

    @property
    def of_several_people(self) -> bool:
        """Whether they lie in different people's folders."""
        return len(set(self.people) - {UNSORTED}) > 1


@dataclass(frozen=True, kw_only=True)
class DuplicatesResult:
    """Near-duplicate photos.

    Attributes:
        duplicates: those with different people first, then those of the highest correlation.
        compared: images looked at.
        report: crops that could not be read.
    """

    duplicates: list[Duplicates]
    compared: int
    report: Report

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "duplicates": [asdict(one) for one in self.duplicates],
            "compared": self.compared,
            "failed": self.report.failed_images(),
        }


def find_duplicates(
    reps: str | Path,
    threshold: float | None = None,
    *,
    min_face: float = 0,
    min_sharpness: float = 0,
) -> DuplicatesResult:
    """Photos of one person, or of two by their folders, that are the same photo.

    Two crops whose embeddings are near are compared pixel by pixel, scaled down, by correlation:
    it does not change with brightness and contrast, and little with size, compression and what
    was cut off around the face.

    Args:
        reps: a represent folder; its crops must still be there.
        threshold: squared L2 between people; the network's own unless given.
        min_face: leave out faces whose box has a shorter edge, in pixels.
        min_sharpness: leave out faces whose crop is less sharp, as in ``align.csv``.

    Raises:
        UsageError: no threshold is given or known, the quality of the faces is not, or nothing says
            whether embeddings of other lengths are compared at unit length.
        FacetoolError: none of the crops can be read.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    reps = Path(reps)
    people = leave_out_poor(read_people(reps, unsorted=True), reps, min_face, min_sharpness)
    limit = SHARE * same_person_threshold(people, threshold, reps)
    graph = neighbour_graph(people.prepared(), float(np.sqrt(limit))).tocoo()
    half = graph.row < graph.col
    first, second, lengths = graph.row[half], graph.col[half], graph.data[half]
    wanted = np.unique([first, second])
    report = Report()
    small = _read(Crops(people.description), [people.images[row] for row in wanted], report)
    if len(wanted) and len(report.failures) == len(wanted):
        raise FacetoolError(
            f"the crops of {reps} cannot be read ({report.failures[0][1]}); if they have "
            "moved, run facetool represent on them again"
        )
    place = np.searchsorted(wanted, first), np.searchsorted(wanted, second)
    correlations = _correlations(small, *place)
    same = correlations >= CORRELATION
    links = coo_array((correlations[same], (first[same], second[same])), (len(people.images),) * 2)
    _, groups = connected_components(links, directed=False)
    found: dict[int, list[int]] = {}
    for pair in np.flatnonzero(same).tolist():
        found.setdefault(int(groups[first[pair]]), []).append(pair)
    duplicates = []
    for pairs in found.values():
        rows = np.unique([first[pairs], second[pairs]])
        duplicates.append(
            Duplicates(
                images=[people.images[row] for row in rows],
                people=[people.names[people.labels[row]] for row in rows],
                correlation=float(correlations[pairs].min()),
                squared_l2=float(np.square(lengths[pairs]).max()),
            )
        )
    duplicates.sort(key=lambda one: (not one.of_several_people, -one.correlation, one.images))
    return DuplicatesResult(duplicates=duplicates, compared=len(people.images), report=report)


def _read(crops: Crops, names: list[str], report: Report) -> NDArray[np.float32]:
    """Each crop as a vector (N, E²) of mean 0 and length 1; zeros where it cannot be read."""
    small = np.zeros((len(names), _EDGE**2), np.float32)

    def read(name: str) -> NDArray[np.float32] | str:
        try:
            gray = cv2.cvtColor(crops.reader(name)(), cv2.COLOR_RGB2GRAY)
        except ImageError as error:
            return str(error)
        return cv2.resize(gray, (_EDGE, _EDGE), interpolation=cv2.INTER_AREA).astype(np.float32)

    with (
        ThreadPoolExecutor(available_cores(), "crop") as pool,
        progress_bar("read", len(names)) as bar,
    ):
        ahead = _PER_THREAD * available_cores()
        found = ordered_map(
            lambda name: pool.submit(read, name), lambda job: job.result(), names, ahead
        )
        for row, (name, crop) in enumerate(zip(names, found, strict=True)):
            if isinstance(crop, str):
                report.failed(printable(name), crop)
            else:
                level = crop.ravel() - crop.mean()
                small[row] = level / max(float(np.linalg.norm(level)), 1e-6)
            bar.update(1)
    return small


def _correlations(
    small: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float32]:
    found = np.empty(len(first), np.float32)
    for start in range(0, len(first), 1 << 14):
        part = slice(start, start + (1 << 14))
        found[part] = np.einsum("pe,pe->p", small[first[part]], small[second[part]])
    return found
