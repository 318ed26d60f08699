"""``cluster``: the faces of a represent folder in groups of one person each."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.classification import clustering
from facetool.classification.clustering import PairMetrics
from facetool.embedding.people import UNSORTED, read_people, same_person_threshold
from facetool.errors import UsageError
from facetool.files.atomic import atomic_write, output_errors


@dataclass(frozen=True)
class Clustering:
    """Groups of faces.

    Attributes:
        images: as in ``labels.csv``.
        groups: (N,) from 0, the largest first.
        threshold: squared L2 they were made with.
        metrics: agreement with the folders' names; None where there is one folder only, or images
            lie in none.
    """

    images: list[str]
    groups: NDArray[np.int64]
    threshold: float
    metrics: PairMetrics | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        sizes = np.bincount(self.groups)
        return {
            "images": len(self.images),
            "groups": len(sizes),
            "single_images": int((sizes == 1).sum()),
            "largest": int(sizes.max()),
            "threshold": self.threshold,
            "pair_precision": self.metrics.precision if self.metrics else None,
            "pair_recall": self.metrics.recall if self.metrics else None,
        }


def cluster(
    reps: Path, threshold: float | None = None, table: Path | None = None, links: Path | None = None
) -> Clustering:
    """Group the faces of a represent folder and write the groups.

    Args:
        reps: a represent folder; that its images lie in people's folders is used for the
            metrics only.
        threshold: squared L2; the network's own unless given.
        table: CSV file ``group,image`` to write.
        links: folder to fill with one folder per group, of links to the crops.

    Raises:
        UsageError: no threshold is given or known, or the crops are not where they were.
        OutputError: a result cannot be written.
    """
    people = read_people(reps, unsorted=True)
    limit = same_person_threshold(people, threshold, reps)
    groups = clustering.cluster(people.prepared(), limit)
    metrics = None
    if len(people.names) > 1 and UNSORTED not in people.names:
        metrics = clustering.pair_metrics(groups, people.labels)
    result = Clustering(people.images, groups, limit, metrics)
    if table is not None:
        with atomic_write(
            table, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("group", "image"))
            order = np.argsort(groups, kind="stable")
            writer.writerows((int(groups[row]) + 1, people.images[row]) for row in order)
    if links is not None:
        _link(result, Path(people.description.input or ""), links)
    return result


def _link(result: Clustering, crops: Path, links: Path) -> None:
    """One folder per group, with a link to each of its crops."""
    if not (crops / result.images[0]).is_file():
        raise UsageError(
            f"links: the crops are not in {crops.absolute()}; call this where facetool represent "
            "was called, so that the path it noted is found, or leave links out",
            "links",
        )
    if links.is_dir() and any(links.iterdir()):
        raise UsageError(
            f"links={str(links)!r}: not empty; choose another folder", f"links={str(links)!r}"
        )
    digits = len(str(int(result.groups.max()) + 1))
    for image, group in zip(result.images, result.groups, strict=True):
        folder = links / f"{int(group) + 1:0{digits}d}"
        name = PurePosixPath(image)
        link = folder / name.name
        with output_errors(link):
            folder.mkdir(parents=True, exist_ok=True)
            if link.is_symlink():  # another person's photo has the same name
                link = folder / "-".join(name.parts)
            link.symlink_to(os.path.relpath((crops / image).resolve(), folder.resolve()))
