"""``outliers``: faces unlike the rest of their folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facetool.classification.fit import class_means
from facetool.classification.outliers import distance_to_rest
from facetool.embedding.good_crops import leave_out_poor
from facetool.embedding.people import read_people, same_person_threshold
from facetool.errors import FacetoolError


@dataclass(frozen=True, kw_only=True)
class Outlier:
    """An image unlike the rest of its folder.

    Attributes:
        image: as in ``labels.csv``.
        person: whose folder it lies in; empty where it lies in none.
        squared_l2: mean distance to the person's other images.
        nearest: the person whose mean is nearest; empty for the images in no folder.
    """

    image: str
    person: str
    squared_l2: float
    nearest: str


@dataclass(frozen=True, kw_only=True)
class OutliersResult:
    """The outliers among images.

    Attributes:
        outliers: farthest first.
        compared: images looked at.
        threshold: mean squared L2 distance beyond which an image is one.
    """

    outliers: list[Outlier]
    compared: int
    threshold: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def outliers(
    reps: str | Path,
    threshold: float | None = None,
    *,
    min_face: float = 0,
    min_sharpness: float = 0,
) -> OutliersResult:
    """Faces whose mean distance to the rest of their folder is beyond a threshold.

    Images that lie in no person's folder are taken as those of one person.

    Args:
        reps: a represent folder.
        threshold: squared L2; the network's own unless given.
        min_face: leave out faces whose box has a shorter edge, in pixels.
        min_sharpness: leave out faces whose crop is less sharp, as in ``align.csv``.

    Raises:
        UsageError: no threshold is given or known, the quality of the faces is not, or nothing says
            whether embeddings of other lengths are compared at unit length.
        FacetoolError: nobody has two images.
    """
    reps = Path(reps)
    people = leave_out_poor(read_people(reps, unsorted=True), reps, min_face, min_sharpness)
    limit = same_person_threshold(people, threshold, reps)
    vectors = people.prepared()
    distances = distance_to_rest(vectors, people.labels)
    compared = int((~np.isnan(distances)).sum())
    if not compared:
        raise FacetoolError(f"{reps}: nobody has two images, so there is no rest to compare with")
    means = class_means(vectors, people.labels)
    found = np.flatnonzero(distances >= limit)
    found = found[np.argsort(-distances[found], kind="stable")]
    rows = []
    for row in found:
        nearest = int(np.square(means - vectors[row]).sum(axis=1).argmin())
        owner = people.names[people.labels[row]]
        rows.append(
            Outlier(
                image=people.images[row],
                person=owner,
                squared_l2=float(distances[row]),
                nearest=people.names[nearest],
            )
        )
    return OutliersResult(outliers=rows, compared=compared, threshold=limit)
