"""Groups of faces as contact sheets."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facetool.embedding.represented_crops import Crops
from facetool.files.embeddings import describe_embeddings
from facetool.files.text import counted
from facetool.pipeline.cluster import Clustering
from facetool.reports.page import Card, write_page


def cluster_report(result: Clustering, reps: Path, path: Path) -> None:
    """Write a page with a contact sheet for each group, the largest first.

    Args:
        result: the groups.
        reps: the represent folder they were made of; its crops are shown where they still are.
        path: the HTML file.

    Raises:
        FormatError: the folder's description is damaged.
        OutputError: the page cannot be written.
    """
    crops = Crops(describe_embeddings(reps))
    sizes = np.bincount(result.groups)
    order = np.argsort(result.groups, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    groups = [order[starts[number] : starts[number + 1]] for number in range(len(sizes))]
    alone = [int(rows[0]) for rows in groups if len(rows) == 1]

    def cards(rows: NDArray[np.int64] | list[int]) -> list[Card]:
        names = [result.images[int(row)] for row in rows]
        return [Card(image=crops.reader(name), lines=[PurePosixPath(name).name]) for name in names]

    note = (
        f"{counted(len(result.images), 'face')} in {counted(len(groups), 'group')}, squared L2 "
        f"below {result.threshold:g}"
    )
    with write_page(path, f"cluster: {reps.name}", note) as page:
        page.contents(["Groups", *(["Single faces"] if alone else [])])
        page.section("Groups")
        for number, rows in enumerate(groups):
            if len(rows) > 1:
                title = result.names[number] or f"Group {number + 1}"
                page.group(title, counted(len(rows), "face"))
                page.cards(cards(rows))
        if alone:
            page.section("Single faces", "Faces that are near no other.")
            page.cards(cards(alone))
