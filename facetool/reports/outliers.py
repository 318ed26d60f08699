"""Faces unlike the rest of their folder, beside those they should be like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facetool.embedding.people import NO_FOLDER, People, read_people
from facetool.embedding.represented_crops import Crops
from facetool.files.text import counted
from facetool.pipeline.outliers import Outlier, OutliersResult
from facetool.reports.page import Card, write_page

_EXAMPLES = 3


def outliers_report(result: OutliersResult, reps: Path, path: Path) -> None:
    """Write a page with each outlier beside faces of its own person and of the nearest one.

    Args:
        result: the outliers.
        reps: the represent folder; its crops are shown where they still are.
        path: the HTML file.

    Raises:
        FormatError: the folder is damaged.
        OutputError: the page cannot be written.
    """
    people = read_people(reps, unsorted=True)
    crops = Crops(people.description)
    unlike = {one.image for one in result.outliers}
    examples = _examples(people, unlike)
    note = (
        f"{len(result.outliers):,} of {counted(result.compared, 'image')}, whose mean squared L2 "
        f"to the rest of their folder is {result.threshold:g} or more; farthest first"
    )

    def cards(one: Outlier) -> Iterator[Card]:
        yield Card(
            image=crops.reader(one.image),
            title=one.image,
            lines=[f"mean squared L2 {one.squared_l2:.3f}"],
            mood="bad",
        )
        for image in examples[one.person]:
            if image != one.image:
                yield Card(image=crops.reader(image), title=one.person or NO_FOLDER, mood="good")
        if one.nearest != one.person:
            for image in examples[one.nearest]:
                yield Card(image=crops.reader(image), title=f"nearest: {one.nearest or NO_FOLDER}")

    by_person: dict[str, list[Outlier]] = {}
    for one in result.outliers:
        by_person.setdefault(one.person, []).append(one)
    with write_page(path, f"outliers: {reps.name}", note) as page:
        for person, found in by_person.items():
            page.group(person or NO_FOLDER)
            for one in found:
                page.cards(cards(one))


def _examples(people: People, unlike: set[str]) -> dict[str, list[str]]:
    """The first images of each person, those that are like the rest before the others."""
    found: dict[str, list[str]] = {name: [] for name in people.names}
    for wanted in (False, True):
        for image, label in zip(people.images, people.labels, strict=True):
            of_person = found[people.names[label]]
            if len(of_person) < _EXAMPLES and (image in unlike) == wanted:
                of_person.append(image)
    return found
