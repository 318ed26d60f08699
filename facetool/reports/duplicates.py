"""Photos that are there more than once, side by side."""

from __future__ import annotations

from pathlib import Path

from facetool.embedding.people import NO_FOLDER
from facetool.embedding.represented_crops import Crops
from facetool.files.embeddings import describe_embeddings
from facetool.files.text import counted
from facetool.pipeline.duplicates import Duplicates, DuplicatesResult
from facetool.reports.page import Card, write_page


def duplicates_report(result: DuplicatesResult, reps: Path, path: Path) -> None:
    """Write a page with the crops of each photo that is there more than once.

    Args:
        result: of :func:`facetool.pipeline.duplicates.find_duplicates`.
        reps: the represent folder; its crops are shown where they still are.
        path: the HTML file.

    Raises:
        FormatError: the folder is damaged.
        OutputError: the page cannot be written.
    """
    crops = Crops(describe_embeddings(reps))
    elsewhere = [one for one in result.duplicates if one.of_several_people]
    others = [one for one in result.duplicates if not one.of_several_people]

    def cards(one: Duplicates, mood: str) -> list[Card]:
        return [
            Card(image=crops.reader(image), title=person or NO_FOLDER, lines=[image], mood=mood)
            for image, person in zip(one.images, one.people, strict=True)
        ]

    photos, faces = counted(len(result.duplicates), "photo"), counted(result.compared, "face")
    note = f"{photos} more than once, among {faces}"
    sections = (("Under several names", elsewhere, "bad"), ("Under one name or none", others, ""))
    with write_page(path, f"duplicates: {reps.name}", note) as page:
        page.contents([title for title, found, _ in sections if found])
        for title, found, mood in sections:
            if found:
                page.section(title)
            for one in found:
                page.group(
                    one.images[0],
                    f"correlation {one.correlation:.3f}, squared L2 {one.squared_l2:.4f}",
                )
                page.cards(cards(one, mood))
