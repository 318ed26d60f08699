"""``outliers``, ``cluster`` and ``embed-plot``: looking at a represent folder."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.classification.fit import class_means
from facetool.classification.groups import (
    PairFigures,
    cluster,
    distance_to_rest,
    embed_in_plane,
    pair_figures,
)
from facetool.embedding.people import People, pair_threshold, read_people
from facetool.errors import FacetoolError, UsageError
from facetool.files.atomic import atomic_write, output_errors

_LEGEND = 20
"""People that colours can tell apart; of more, the names would cover the picture."""


def _threshold(people: People, given: float | None, reps: Path) -> float:
    """Squared L2 where "same person" ends: as given, or as published for the weights."""
    if given is not None:
        return given
    published = pair_threshold(people.source)
    if published is None:
        name = people.source.weights or "the network of this folder"
        raise UsageError(
            f"no threshold is known for {name}; give one with --threshold X, the squared L2 below "
            f"which two faces are one person's (facetool lfw-eval {reps} finds it on your pairs)"
        )
    return published.squared_l2


@dataclass(frozen=True)
class Outlier:
    """An image unlike the rest of its folder.

    Attributes:
        image: as in ``labels.csv``.
        person: whose folder it lies in.
        squared_l2: mean distance to the person's other images.
        nearest: the person whose mean is nearest.
    """

    image: str
    person: str
    squared_l2: float
    nearest: str


def outliers(reps: Path, threshold: float | None = None) -> tuple[list[Outlier], int, float]:
    """Faces whose mean distance to the rest of their folder is beyond a threshold.

    Returns:
        The outliers, farthest first; the number of images looked at; the threshold.

    Raises:
        UsageError: no threshold is given or known.
        FacetoolError: nobody has two images.
    """
    people = read_people(reps)
    limit = _threshold(people, threshold, reps)
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
            Outlier(people.images[row], owner, float(distances[row]), people.names[nearest])
        )
    return rows, compared, limit


@dataclass(frozen=True)
class Clustering:
    """Groups of faces.

    Attributes:
        images: as in ``labels.csv``.
        groups: (N,) from 0, the largest first.
        threshold: squared L2 they were made with.
        figures: agreement with the folders' names; None where there is one folder only.
    """

    images: list[str]
    groups: NDArray[np.int64]
    threshold: float
    figures: PairFigures | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        sizes = np.bincount(self.groups)
        return {
            "images": len(self.images),
            "groups": len(sizes),
            "single_images": int((sizes == 1).sum()),
            "largest": int(sizes.max()),
            "threshold": self.threshold,
            "pair_precision": self.figures.precision if self.figures else None,
            "pair_recall": self.figures.recall if self.figures else None,
        }


def cluster_folder(
    reps: Path, threshold: float | None = None, table: Path | None = None, links: Path | None = None
) -> Clustering:
    """Group the faces of a represent folder and write the groups.

    Args:
        reps: a represent folder; that its images lie in people's folders is used for the
            figures only.
        threshold: squared L2; the network's own unless given.
        table: CSV file ``group,image`` to write.
        links: folder to fill with one folder per group, of links to the crops.

    Raises:
        UsageError: no threshold is given or known, or the crops are not where they were.
        OutputError: a result cannot be written.
    """
    people = read_people(reps)
    limit = _threshold(people, threshold, reps)
    groups = cluster(people.prepared(), limit)
    figures = pair_figures(groups, people.labels) if len(people.names) > 1 else None
    result = Clustering(people.images, groups, limit, figures)
    if table is not None:
        with atomic_write(
            table, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("group", "image"))
            order = np.argsort(groups, kind="stable")
            writer.writerows((int(groups[row]) + 1, people.images[row]) for row in order)
    if links is not None:
        _link(result, Path(str(people.provenance.get("input", ""))), links)
    return result


def _link(result: Clustering, crops: Path, links: Path) -> None:
    """One folder per group, with a link to each of its crops."""
    if not (crops / result.images[0]).is_file():
        raise UsageError(
            f"--links: the crops are not in {crops.absolute()}; call this where facetool represent "
            "was called, so that the path it noted is found, or take -o FILE.csv"
        )
    if links.is_dir() and any(links.iterdir()):
        raise UsageError(f"--links: {links} is not empty; choose another folder")
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


def embed_plot(reps: Path, output: Path) -> int:
    """Draw a represent folder as a map (t-SNE) in which similar faces lie together.

    Returns:
        The number of images drawn.

    Raises:
        FacetoolError: there are too few images.
        OutputError: the picture cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    people = read_people(reps)
    if len(people.images) < 4:
        raise FacetoolError(f"{reps} has {len(people.images)} images; a map needs four or more")
    points = embed_in_plane(people.prepared())
    colours = colormaps["tab20"](people.labels % 20)
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    axes.scatter(points[:, 0], points[:, 1], s=14, c=colours, linewidths=0)
    if len(people.names) <= _LEGEND:
        for number, name in enumerate(people.names):
            label = name.replace("_", " ").replace("$", r"\$")
            axes.scatter([], [], s=14, color=colormaps["tab20"](number), label=label)
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(f"t-SNE of {len(points):,} faces of {len(people.names):,} people", fontsize=10)
    with atomic_write(output) as file:
        figure.savefig(file, format="png", dpi=150)
    return len(points)
