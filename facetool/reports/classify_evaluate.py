"""Faces that a classifier named wrongly, beside those it took them for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facetool.classification.classifier import UNKNOWN
from facetool.embedding.people import read_people
from facetool.embedding.represented_crops import Crops
from facetool.files.text import counted
from facetool.pipeline.classify_evaluate import EvaluationResult
from facetool.reports.page import Card, write_page

_CONFUSED, _REJECTED = "Taken for somebody else", "Taken for strangers"


def classify_evaluate_report(result: EvaluationResult, reps: Path, path: Path) -> None:
    """Write a page of the errors, those of people who were taken for somebody else first.

    Args:
        result: of :func:`facetool.pipeline.classify_evaluate.evaluate_classifier`.
        reps: the represent folder it was measured on; its crops are shown where they still are.
        path: the HTML file.

    Raises:
        FormatError: the folder is damaged.
        OutputError: the page cannot be written.
    """
    people = read_people(reps)
    crops = Crops(people.description)
    examples: dict[str, str] = {}
    for image, label in zip(people.images, people.labels, strict=True):
        examples.setdefault(people.names[label], image)
    outcome = result.outcome
    answers = list(zip(outcome.images, outcome.truth, outcome.answers, strict=True))
    confused = [one for one in answers if one[2] not in (one[1], UNKNOWN)]
    rejected = [one for one in answers if one[2] == UNKNOWN]

    def side_by_side(image: str, person: str, answer: str) -> Iterator[Card]:
        yield Card(image=crops.reader(image), title=person, lines=[image], mood="bad")
        if answer in examples:
            yield Card(image=crops.reader(examples[answer]), title=f"taken for {answer}")

    note = (
        f"{outcome.kind}, {outcome.how}: {counted(len(answers), 'image')}, {len(confused):,} taken "
        f"for somebody else, {len(rejected):,} for strangers"
    )
    with write_page(path, f"classify evaluate: {reps.name}", note) as page:
        page.contents([_CONFUSED] * bool(confused) + [_REJECTED] * bool(rejected))
        if confused:
            page.section(_CONFUSED)
        for one in confused:
            page.cards(side_by_side(*one))
        if rejected:
            page.section(_REJECTED)
            page.cards(
                Card(image=crops.reader(image), title=person, lines=[image])
                for image, person, _ in rejected
            )
