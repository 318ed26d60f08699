"""``cluster``: the faces of a represent folder in groups of one person each."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from facetool.classification import clustering
from facetool.classification.clustering import PairMetrics
from facetool.classification.fit import class_means
from facetool.embedding.good_crops import leave_out_poor
from facetool.embedding.people import UNSORTED, read_people, same_person_threshold
from facetool.errors import FormatError, UsageError
from facetool.files.atomic import atomic_write, output_errors
from facetool.files.embeddings_writer import own_files
from facetool.files.given_names import read_given_names, write_given_names
from facetool.files.names_below import leads_out
from facetool.files.output_file import check_output
from facetool.files.paths import optional_path
from facetool.files.text import counted
from facetool.jobs.progress import listener


@dataclass(frozen=True, eq=False)
class Clustering:
    """Groups of faces.

    Attributes:
        images: as in ``labels.csv``.
        groups: (N,) from 0, the largest first.
        threshold: squared L2 they were made with.
        metrics: agreement with the folders' names; None where there is one folder only, or images
            lie in none.
        names: of each group; empty where it has none.
    """

    images: list[str]
    groups: NDArray[np.int64]
    threshold: float
    metrics: PairMetrics | None
    names: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        sizes = np.bincount(self.groups)
        named = np.array([bool(name) for name in self.names])
        return {
            "images": len(self.images),
            "groups": len(sizes),
            "single_images": int((sizes == 1).sum()),
            "largest": int(sizes.max()),
            "named_groups": int(named.sum()),
            "named_images": int(sizes[named].sum()),
            "threshold": self.threshold,
            "pair_precision": self.metrics.precision if self.metrics else None,
            "pair_recall": self.metrics.recall if self.metrics else None,
        }


def cluster(
    reps: str | Path,
    threshold: float | None = None,
    table: str | Path | None = None,
    links: str | Path | None = None,
    names: str | Path | None = None,
    *,
    min_face: float = 0,
    min_sharpness: float = 0,
) -> Clustering:
    """Group the faces of a represent folder and write the groups.

    Args:
        reps: a represent folder; that its images lie in people's folders is used for the
            metrics only.
        threshold: squared L2; the network's own unless given.
        table: CSV file ``group,image`` to write, with ``names`` also ``name``.
        links: folder to fill with one folder per group, of links to the crops; those of an
            earlier call are replaced.
        names: CSV file ``name,image``. Images that have a name there keep it: those of one name
            are one group, those of two never are, and others join them as they would join any
            group. Rewritten with every image of the named groups, and below them an image of
            each other group of two or more, to be named.
        min_face: leave out faces whose box has a shorter edge, in pixels.
        min_sharpness: leave out faces whose crop is less sharp, as in ``align.csv``.

    Raises:
        UsageError: no threshold is given or known, nor the quality of the faces, nothing says
            whether embeddings of other lengths are compared at unit length, the crops are not
            where they were, there are too many pairs below the threshold for this machine's
            memory, or ``table`` is an input or a file of another kind.
        FormatError: an input is damaged, or ``links`` would lead out of the folder of the crops.
        OutputError: a result cannot be written.
    """
    reps = Path(reps)
    table, links, names = optional_path(table), optional_path(links), optional_path(names)
    if table is not None:
        inputs = own_files(reps) + ([names] if names is not None else [])
        check_output(table, "table of groups", _is_table, inputs=inputs)
    people = leave_out_poor(read_people(reps, unsorted=True), reps, min_face, min_sharpness)
    limit = same_person_threshold(people, threshold, reps)
    given = read_given_names(names) if names is not None and names.exists() else {}
    known = sorted({given[image] for image in people.images if image in given})
    numbers = {name: number for number, name in enumerate(known)}
    labels = np.array([numbers.get(given.get(image, ""), -1) for image in people.images], np.int64)
    vectors = people.prepared()
    groups = clustering.group_faces(vectors, limit, labels)
    metrics = None
    if len(people.names) > 1 and UNSORTED not in people.names:
        metrics = clustering.pair_metrics(groups, people.labels)
    named = dict(zip(groups[labels >= 0].tolist(), labels[labels >= 0].tolist(), strict=True))
    group_names = [
        known[named[group]] if group in named else "" for group in range(int(groups.max()) + 1)
    ]
    result = Clustering(people.images, groups, limit, metrics, group_names)
    if table is not None:
        _write_table(table, result, with_names=names is not None)
    if names is not None:
        _write_names(names, result, given, vectors)
    if links is not None:
        _link(result, Path(people.description.input or ""), links)
    return result


_LONGEST_LINE = 100
_COLUMNS = ("group", "image", "name")


def _is_table(file: BinaryIO) -> bool:
    """Whether a file begins with the columns of a table, as a spreadsheet may have saved it."""
    line = file.readline(_LONGEST_LINE).decode("utf-8-sig", "replace")
    columns = tuple(column.strip('"') for column in line.strip().replace(";", ",").split(","))
    return columns in (_COLUMNS, _COLUMNS[:2])


def _write_table(path: Path, result: Clustering, *, with_names: bool) -> None:
    columns = 3 if with_names else 2
    with atomic_write(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS[:columns])
        for row in np.argsort(result.groups, kind="stable"):
            group = int(result.groups[row])
            writer.writerow((group + 1, result.images[row], result.names[group])[:columns])


def _write_names(
    path: Path, result: Clustering, given: Mapping[str, str], vectors: NDArray[np.float64]
) -> None:
    """Named groups with all their images, then one image of each group without a name."""
    rows = list(_named_images(result))
    images = set(result.images)
    gone = [(name, image) for image, name in given.items() if image not in images]
    if gone:
        listener().remark(
            str(path), f"{counted(len(gone), 'named image')} not here; the names are kept"
        )
    write_given_names(path, [*rows, *gone, *_proposals(result, vectors)])


def _named_images(result: Clustering) -> Iterator[tuple[str, str]]:
    for row in np.argsort(result.groups, kind="stable"):
        if name := result.names[int(result.groups[row])]:
            yield name, result.images[row]


def _proposals(result: Clustering, vectors: NDArray[np.float64]) -> Iterator[tuple[str, str]]:
    """The most typical image of each group of two or more that has no name."""
    groups = result.groups
    apart = np.square(vectors - class_means(vectors, groups)[groups]).sum(axis=1)
    order = np.lexsort((apart, groups))
    first = order[np.flatnonzero(np.diff(groups[order], prepend=-1))]
    for group, size in enumerate(np.bincount(groups).tolist()):
        if size > 1 and not result.names[group]:
            yield "", result.images[first[group]]


def _link(result: Clustering, crops: Path, links: Path) -> None:
    """One folder per group, with a link to each of its crops.

    Raises:
        UsageError: the crops are not there, or the folder holds anything else.
        FormatError: an image would be somewhere else than in the folder of the crops.
    """
    for image in result.images:
        if leads_out(image):
            raise FormatError(
                f"labels.csv: the name {image} leads out of {crops.absolute()}; "
                "run facetool represent again, or leave links out",
                "links",
            )
    if not (crops / result.images[0]).is_file():
        raise UsageError(
            f"links: the crops are not in {crops.absolute()}; if they have moved, run facetool "
            "represent on them again, or leave links out",
            "links",
        )
    _remove_links(links, crops)
    folders = _folder_names(result.names)
    for image, group in zip(result.images, result.groups, strict=True):
        folder = links / folders[group]
        name = PurePosixPath(image)
        link = folder / name.name
        with output_errors(link):
            folder.mkdir(parents=True, exist_ok=True)
            if link.is_symlink():  # another person's photo has the same name
                link = folder / "-".join(name.parts)
            link.symlink_to(os.path.relpath((crops / image).resolve(), folder.resolve()))


def _remove_links(links: Path, crops: Path) -> None:
    """Remove what an earlier call put into a folder: folders of links to these crops.

    Raises:
        UsageError: it holds anything else; nothing is removed then.
    """
    if not links.is_dir():
        return
    root = crops.resolve()
    folders = sorted(links.iterdir())
    inside = [entry for folder in folders if _is_folder(folder) for entry in folder.iterdir()]
    others = [folder for folder in folders if not _is_folder(folder)]
    others += [entry for entry in inside if not _leads_below(entry, root)]
    if others:
        raise UsageError(
            f"links={str(links)!r}: {others[0]} is no link to a crop in {crops}, so all that is "
            "there stays as it is; choose another folder",
            f"links={str(links)!r}",
        )
    with output_errors(links):
        for link in inside:
            link.unlink()
        for folder in folders:
            folder.rmdir()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _leads_below(link: Path, root: Path) -> bool:
    """Whether a path is a link to a place below a folder, be there anything or not."""
    if not link.is_symlink():
        return False
    target = Path(os.path.normpath(link.parent.resolve() / link.readlink()))
    return root in target.parents


def _folder_names(names: Sequence[str]) -> list[str]:
    """A group's name, made one of a file, or else its number; no two are equal."""
    digits = len(str(len(names)))
    folders = [f"{group + 1:0{digits}d}" for group in range(len(names))]
    taken = {folder for folder, name in zip(folders, names, strict=True) if not name}
    for group, name in enumerate(names):
        if name:
            folder = name.replace("/", "-").replace("\0", "-")
            folder = f"_{folder}" if folder.startswith(".") else folder
            while folder in taken:
                folder += "_"
            folders[group] = folder
            taken.add(folder)
    return folders
