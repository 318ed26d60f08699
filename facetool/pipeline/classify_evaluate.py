"""``classify evaluate``: how well a classifier names the people of a represent folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.classification.classifier import UNKNOWN, Classifier
from facetool.classification.classifier_file import load_classifier
from facetool.classification.fit import split_folds
from facetool.classification.metrics import FPIRS, dir_at_fpir
from facetool.classification.provenance import check_provenance
from facetool.embedding.people import People, read_people
from facetool.errors import FacetoolError, UsageError
from facetool.files.atomic import output_errors
from facetool.files.json_file import write_json
from facetool.files.output_file import check_output, starts_with
from facetool.files.paths import optional_path
from facetool.files.text import counted, read_text
from facetool.pipeline.classify_train import (
    ClassifierSettings,
    fit_people,
    other_people,
    strangers_among,
)
from facetool.plots.style import check_name, save_plot

METRICS_FILE = "classification.json"
CONFUSION_FILE = "confusion.png"

MOST_CONFUSED = 50
"""People that a confusion plot can show."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """Answers for known people and strangers, each by one classifier or by several folds."""

    kind: str
    fpir: float
    people: int
    how: str
    images: list[str]
    truth: list[str]
    closed: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    answers: list[str]
    strangers: NDArray[np.float64]
    named: NDArray[np.bool_]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        found = np.array([a == t for a, t in zip(self.answers, self.truth, strict=True)])
        rejected = sum(answer == UNKNOWN for answer in self.answers)
        strangers: dict[str, Any] | None = None
        if len(self.strangers):
            strangers = {
                "images": len(self.strangers),
                "named": int(self.named.sum()),
                "fpir": float(self.named.mean()),
                "dir_at_fpir": [
                    dir_at_fpir(self.similarity, self.closed, self.strangers, fpir)
                    for fpir in FPIRS
                ],
            }
        return {
            "classifier": self.kind,
            "how": self.how,
            "people": self.people,
            "images": len(self.truth),
            "accuracy": float(self.closed.mean()),
            "at_threshold": {
                "fpir_asked": self.fpir,
                "dir": float(found.mean()),
                "misnamed": len(found) - int(found.sum()) - rejected,
                "rejected": rejected,
            },
            "strangers": strangers,
            "confusions": self._confusions(),
        }

    def _confusions(self) -> list[dict[str, Any]]:
        """Who was taken for whom, the most frequent first."""
        pairs = zip(self.truth, self.answers, strict=True)
        counts = Counter((truth, answer) for truth, answer in pairs if truth != answer)
        return [
            {"person": truth, "answer": answer, "images": number}
            for (truth, answer), number in counts.most_common(100)
        ]


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """What ``classification.json`` holds.

    Attributes:
        outcome: answers for known people and strangers.
        provenance: where the embeddings come from, as JSON values.
        warnings: what was left out, a sentence each.
    """

    outcome: Outcome
    provenance: dict[str, Any]
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **self.outcome.as_dict(),
            "provenance": self.provenance,
            "warnings": self.warnings,
        }


def evaluate_classifier(
    reps: str | Path,
    *,
    classifier: str | Path | None = None,
    unknown: str | Path | None = None,
    settings: ClassifierSettings | None = None,
    output: str | Path | None = None,
) -> EvaluationResult:
    """Measure a classifier file on a represent folder, or cross-validate on the folder itself.

    Strangers are the people of ``unknown`` and, for a classifier file, everybody it does not
    know. Writes ``classification.json`` and, for few people, ``confusion.png``; an earlier result's
    plot does not stay.

    Args:
        reps: a represent folder.
        classifier: a file of :func:`facetool.train_classifier`; without it, five folds are trained
            and tested.
        unknown: another represent folder, or a text file that names people of ``reps``, one a
            line, who are then strangers.
        settings: of the training, where there is no file.
        output: where the files go; ``reps`` unless given.

    Raises:
        FormatError: an input is damaged.
        UsageError: inputs do not go together, nothing says whether embeddings of other lengths are
            compared at unit length, or a result would replace an input or a file of another kind.
        FacetoolError: there is nothing to measure.
        OutputError: a file cannot be written.
    """
    reps = Path(reps)
    classifier, unknown, output = (
        optional_path(classifier),
        optional_path(unknown),
        optional_path(output),
    )
    folder = output or reps
    _check_outputs(folder, [path for path in (classifier, unknown) if path is not None])
    people = read_people(reps)
    made = load_classifier(classifier) if classifier else None
    if made is not None:
        check_provenance(made.provenance, people.provenance, str(reps))
        _check_size(made, people, reps)
    warnings = []
    if people.missed:
        warnings.append(f"left out: {counted(people.missed, 'image')} whose face was not found")
    strangers = np.zeros(len(people.labels), bool)
    if unknown is not None and unknown.is_file():
        strangers = people.having(_read_list(unknown, people))
    strangers |= people.having(strangers_among(people))
    if made is not None:
        strangers |= ~people.having(made.people)
    stranger_vectors = people.vectors[strangers]
    if unknown is not None and unknown.is_dir():
        provenance = made.provenance if made else people.provenance
        names = made.people if made else people.names
        others, left_out = other_people(unknown, provenance, names, people.vectors)
        stranger_vectors = np.concatenate([stranger_vectors, others.vectors])
        warnings += left_out
    if strangers.all():
        raise FacetoolError(
            f"none of the people in {reps} is one that the classifier knows; are the folders "
            "named alike?"
        )
    known = people.only(~strangers)
    if made is not None:
        outcome = _measure(made, known, stranger_vectors)
    else:
        outcome = _cross_validate(known, stranger_vectors, settings or ClassifierSettings())
    result = EvaluationResult(
        outcome=outcome, provenance=people.description.provenance(), warnings=warnings
    )
    again = (folder / METRICS_FILE).is_file()
    write_json(folder / METRICS_FILE, result.as_dict())
    shown = sorted(set(outcome.truth)) + ([UNKNOWN] if UNKNOWN in outcome.answers else [])
    if set(outcome.answers) <= set(shown) and len(shown) <= MOST_CONFUSED:
        from facetool.plots.confusion import confusion_figure

        figure = confusion_figure(outcome.truth, outcome.answers, list(dict.fromkeys(shown)))
        save_plot(figure, folder / CONFUSION_FILE, dpi=150)
    elif again:  # the plot there is of the result that has been replaced
        with output_errors(folder / CONFUSION_FILE):
            (folder / CONFUSION_FILE).unlink(missing_ok=True)
    return result


def _check_outputs(folder: Path, inputs: Sequence[Path]) -> None:
    """Refuse to write over what is no earlier result."""
    own = starts_with(b'{\n  "classifier": ')
    check_output(folder / METRICS_FILE, "result of classify evaluate", own, inputs=inputs)
    check_name(folder / CONFUSION_FILE)


def _check_size(made: Classifier, people: People, reps: Path) -> None:
    if made.means.shape[1] != people.vectors.shape[1]:
        raise UsageError(
            f"{reps} has embeddings of {counted(people.vectors.shape[1], 'dimension')}, but the "
            f"classifier was trained on {made.means.shape[1]}"
        )


def _read_list(path: Path, people: People) -> set[str]:
    """The names in a text file; all must be people of the folder."""
    lines = read_text(path, errors="surrogateescape").split("\n")
    names = {line.strip().rstrip("/") for line in lines if line.strip()}
    absent = sorted(names - set(people.names))
    if absent:
        raise UsageError(
            f"{path}: {absent[0]!r} is nobody in this folder; the list has one name a line, "
            "as the folders of the photos are called"
        )
    return names


def _measure(made: Classifier, known: People, strangers: NDArray[np.float32]) -> Outcome:
    answers = made.answer(known.vectors)
    of_strangers = made.answer(strangers)
    truth = [known.names[label] for label in known.labels]
    closed = np.array([made.people[b] == t for b, t in zip(answers.best, truth, strict=True)], bool)
    return Outcome(
        kind=made.kind,
        fpir=made.threshold.fpir,
        people=len(made.people),
        how="classifier file",
        images=known.images,
        truth=truth,
        closed=closed,
        similarity=answers.similarity,
        answers=made.names(answers),
        strangers=of_strangers.similarity,
        named=of_strangers.known,
    )


def _cross_validate(
    known: People, strangers: NDArray[np.float32], settings: ClassifierSettings
) -> Outcome:
    folds = split_folds(known.labels)
    if not folds:
        raise FacetoolError(
            "nobody has two images, so there is nothing to train and test on; "
            "give a classifier file, or a folder with more images"
        )
    parts = []
    for rows, held_out in folds:
        training, test = (_chosen(known, chosen) for chosen in (rows, held_out))
        parts.append(_measure(fit_people(training, settings), test, strangers))
    return Outcome(
        kind=settings.kind,
        fpir=settings.fpir,
        people=len(known.names),
        how=f"{len(folds)}-fold cross-validation",
        images=[name for part in parts for name in part.images],
        truth=[name for part in parts for name in part.truth],
        closed=np.concatenate([part.closed for part in parts]),
        similarity=np.concatenate([part.similarity for part in parts]),
        answers=[name for part in parts for name in part.answers],
        strangers=np.concatenate([part.strangers for part in parts]),
        named=np.concatenate([part.named for part in parts]),
    )


def _chosen(people: People, rows: NDArray[np.int64]) -> People:
    chosen = np.zeros(len(people.labels), bool)
    chosen[rows] = True
    return people.only(chosen)
