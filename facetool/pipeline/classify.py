"""``classify train`` and ``classify evaluate``: from represent folders to names and metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facetool.classification import classifier as classification
from facetool.classification.classifier import UNKNOWN, Classifier, Provenance
from facetool.classification.classifier_file import load_classifier, save_classifier
from facetool.classification.fit import FITTERS, split_folds
from facetool.classification.metrics import FPIRS, dir_at_fpir
from facetool.embedding.named_people import read_named_people
from facetool.embedding.people import People, pair_threshold, read_people
from facetool.errors import FacetoolError, UsageError
from facetool.files.json_file import write_json
from facetool.files.represent_description import RepresentDescription
from facetool.files.text import read_text

if TYPE_CHECKING:
    from facetool.networks.base import EmbeddingNetwork

CLASSIFIER_FILE = "classifier.safetensors"
FIGURES_FILE = "classification.json"
CONFUSION_FILE = "confusion.png"

MOST_CONFUSED = 50
"""People that a confusion plot can show."""


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """How a classifier is made.

    Attributes:
        kind: key of :data:`facetool.classification.fit.FITTERS`.
        lda_dim: dimensions to keep by LDA; None for no LDA.
        fpir: false positive identification rate of the rejection threshold, 0…1.
    """

    kind: str = "linear-svm"
    lda_dim: int | None = None
    fpir: float = 0.01


def find_kind(name: str) -> str:
    """A classifier's name, case and hyphens ignored, so that OpenFace's names are known too.

    Raises:
        UsageError: there is none of that name.
    """
    wanted = name.lower().replace("-", "")
    for kind in FITTERS:
        if kind.replace("-", "") == wanted:
            return kind
    raise UsageError(f"there is no classifier {name!r}; known are {', '.join(FITTERS)}")


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What was trained, how well it does, how its threshold was found.

    Attributes:
        classifier: what the file holds.
        file: where it lies.
        images: embeddings it was trained on.
        lda_dim: dimensions that LDA kept; None for no LDA.
        warnings: reasons to doubt it, a sentence each.
    """

    classifier: Classifier
    file: Path
    images: int
    lda_dim: int | None
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        made = self.classifier
        return {
            "classifier": made.kind,
            "file": str(self.file),
            "people": len(made.people),
            "images": self.images,
            "lda_dim": self.lda_dim,
            "accuracy": asdict(made.cross_validation),
            "threshold": made.threshold.as_dict(),
            "network": asdict(made.provenance),
            "warnings": self.warnings,
        }


def train_classifier(
    reps: Path,
    output: Path,
    settings: ClassifierSettings,
    *,
    xmp: bool = False,
    network: EmbeddingNetwork | None = None,
) -> TrainingResult:
    """Train a classifier on a represent folder and write it to a file.

    Args:
        reps: the represent folder.
        output: the file.
        settings: how the classifier is made.
        xmp: take people's names from the XMP of the photos instead of the folders.
        network: that made the embeddings, where the folder does not say: OpenFace's own folders
            have no ``represent.json``.

    Raises:
        FormatError: the folder is damaged.
        UsageError: there are too few people, an option does not fit, or the folder is of another
            network.
        OutputError: the file cannot be written.
    """
    people = read_named_people(reps) if xmp else read_people(reps)
    if network is not None:
        people = _made_by(network, people, reps)
    strangers = people.having(_strangers(people))
    warnings = []
    if strangers.any():
        warnings.append(
            f"{int(strangers.sum()):,} images of the folder {', '.join(_strangers(people))} show "
            "strangers, not a person of that name: they are left out of the training"
        )
        if strangers.all():
            raise UsageError(f"{reps} has no person but {UNKNOWN!r}")
        people = people.only(~strangers)
    if len(people.names) == 1:
        settings = _one_person(people, settings)
        warnings.append(
            "with one person the classifier is nearest-mean, and how often strangers take the name "
            "cannot be measured; photos of others in folders of their own make that possible"
        )
    made = _train(people, settings)
    save_classifier(made, output)
    if people.missed:
        warnings.append(
            f"{people.missed:,} images whose face was not found are left out of the training"
        )
    if not made.provenance.network:
        warnings.append(
            f"{reps} does not say which network made it (no represent.json), so this classifier "
            "can be evaluated on such folders but cannot name faces in photos until you say it: "
            f"facetool classify train {reps} model=NAME (OpenFace's programs use nn4.small2.v1)"
        )
    if made.cross_validation.accuracy is None and len(made.people) > 1:
        warnings.append("nobody has two images, so neither accuracy nor confidence can be measured")
    warnings += _threshold_warnings(made)
    return TrainingResult(
        classifier=made,
        file=output,
        images=len(people.labels),
        lda_dim=settings.lda_dim,
        warnings=warnings,
    )


def _made_by(network: EmbeddingNetwork, people: People, reps: Path) -> People:
    """People of a folder that leaves open which network embedded them.

    Raises:
        UsageError: it says another one, or the embeddings are of another size.
    """
    info = network.info
    size = people.vectors.shape[1]
    if size != info.embedding_size:
        raise UsageError(
            f"{reps} holds embeddings of {size} numbers, {info.weights_name} gives "
            f"{info.embedding_size}: it did not make them"
        )
    made = RepresentDescription(
        network=info.architecture,
        weights_name=info.weights_name,
        weights_sha256=info.weights_sha256,
        embedding_size=info.embedding_size,
        unit_length=info.unit_length,
        threshold=info.threshold.as_dict() if info.threshold else None,
        recipe=network.recipe.as_dict(),
        flip=people.description.flip or "none",
    )
    if reason := people.description.difference(made):
        raise UsageError(f"{reps} was made otherwise than model says: {reason}", "model")
    return replace(people, provenance=Provenance.of(made), description=made)


def _strangers(people: People) -> list[str]:
    """Folders that are called as the answer for strangers is."""
    return [name for name in people.names if name.casefold() == UNKNOWN]


def _one_person(people: People, settings: ClassifierSettings) -> ClassifierSettings:
    """A classifier of one person has nothing to tell apart: its threshold decides.

    Raises:
        UsageError: no threshold is published for the network.
    """
    if pair_threshold(people.description) is None:
        raise UsageError(
            f"a classifier for {people.names[0]!r} alone needs a threshold, and none is published "
            "for this network; add folders of other people"
        )
    return replace(settings, kind="nearest-mean", lda_dim=None)


def _train(people: People, settings: ClassifierSettings) -> Classifier:
    published = pair_threshold(people.description)
    cosine = None
    if published is not None:
        # |a - b|² = 2 r² (1 - cosine) for embeddings of about the same length r.
        length = float(np.square(people.prepared()).sum(axis=1).mean())
        cosine = 1 - published.squared_l2 / (2 * length)
    return classification.fit_classifier(
        people.vectors,
        people.labels,
        people.names,
        people.provenance,
        settings.kind,
        settings.lda_dim,
        settings.fpir,
        cosine,
    )


def _threshold_warnings(made: Classifier) -> list[str]:
    few = f"with {len(made.people)} people no rejection threshold can be calibrated (5 are needed)"
    if made.threshold.source == "network":
        return [
            f"{few}; the network's published one is used, so how many strangers get named "
            "is not known"
        ]
    if made.threshold.source == "none":
        return [f"{few}, and none is published for this network: every stranger gets a name"]
    return []


def check_provenance(wanted: Provenance, given: Provenance, what: str) -> None:
    """Refuse embeddings of another network than the classifier was trained on.

    Raises:
        UsageError: network, weights, input or flip differ, or network or weights are not known.
    """
    if wanted.network != given.network or wanted.sha256 != given.sha256:
        raise UsageError(
            f"{what} comes from {_name(given)}, but the classifier was trained on embeddings "
            f"of {_name(wanted)}; use that, or train a classifier for this one"
        )
    if wanted.recipe and given.recipe and _scaling(wanted) != _scaling(given):
        raise UsageError(
            f"{what} was made with the input {_scaling(given)}, but the classifier was trained on "
            f"embeddings made with {_scaling(wanted)}; state the same recipe"
        )
    if wanted.flip != given.flip:
        raise UsageError(
            f"{what} was made with flip={given.flip!r}, but the classifier was trained on "
            f"embeddings made with flip={wanted.flip!r}",
            f"flip={given.flip!r}",
            f"flip={wanted.flip!r}",
        )


def _scaling(provenance: Provenance) -> dict[str, Any]:
    """How the network's input was made of a crop's pixels."""
    return {name: value for name, value in provenance.recipe.items() if name != "crop"}


def _name(provenance: Provenance) -> str:
    if not provenance.network:
        return "a network that its represent folder does not name"
    return f"{provenance.weights or provenance.network} (sha256 {provenance.sha256[:8]}…)"


def evaluate_classifier(
    reps: Path,
    *,
    classifier: Path | None = None,
    unknown: Path | None = None,
    settings: ClassifierSettings | None = None,
    output: Path | None = None,
) -> EvaluationResult:
    """Measure a classifier file on a represent folder, or cross-validate on the folder itself.

    Strangers are the people of ``unknown`` and, for a classifier file, everybody it does not
    know. Writes ``classification.json`` and, for few people, ``confusion.png``.

    Args:
        reps: a represent folder.
        classifier: a file of :func:`train_classifier`; without it, five folds are trained and
            tested.
        unknown: another represent folder, or a text file that names people of ``reps``, one a
            line, who are then strangers.
        settings: of the training, where there is no file.
        output: where the files go; ``reps`` unless given.

    Raises:
        FormatError: an input is damaged.
        UsageError: inputs do not go together.
        FacetoolError: there is nothing to measure.
        OutputError: a file cannot be written.
    """
    people = read_people(reps)
    made = load_classifier(classifier) if classifier else None
    if made is not None:
        check_provenance(made.provenance, people.provenance, str(reps))
        _check_size(made, people, reps)
    strangers = np.zeros(len(people.labels), bool)
    if unknown is not None and unknown.is_file():
        strangers = people.having(_read_list(unknown, people))
    strangers |= people.having(_strangers(people))
    if made is not None:
        strangers |= ~people.having(made.people)
    stranger_vectors = people.vectors[strangers]
    if unknown is not None and unknown.is_dir():
        stranger_vectors = np.concatenate(
            [stranger_vectors, _other_people(unknown, made, people).vectors]
        )
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
    result = EvaluationResult(outcome=outcome, provenance=people.description.provenance())
    folder = output or reps
    write_json(folder / FIGURES_FILE, result.as_dict())
    shown = sorted(set(outcome.truth)) + ([UNKNOWN] if UNKNOWN in outcome.answers else [])
    if set(outcome.answers) <= set(shown) and len(shown) <= MOST_CONFUSED:
        from facetool.plots import style
        from facetool.plots.confusion import confusion_figure

        figure = confusion_figure(outcome.truth, outcome.answers, list(dict.fromkeys(shown)))
        style.save_plot(figure, folder / CONFUSION_FILE, dpi=150)
    return result


def _check_size(made: Classifier, people: People, reps: Path) -> None:
    if made.means.shape[1] != people.vectors.shape[1]:
        raise UsageError(
            f"{reps} has embeddings of {people.vectors.shape[1]} numbers, but the classifier was "
            f"trained on {made.means.shape[1]}"
        )


def _read_list(path: Path, people: People) -> set[str]:
    """The names in a text file; all must be people of the folder."""
    lines = read_text(path, errors="surrogateescape").splitlines()
    names = {line.strip().rstrip("/") for line in lines if line.strip()}
    absent = sorted(names - set(people.names))
    if absent:
        raise UsageError(
            f"{path}: {absent[0]!r} is nobody in this folder; the list has one name a line, "
            "as the folders of the photos are called"
        )
    return names


def _other_people(folder: Path, made: Classifier | None, people: People) -> People:
    """A folder of strangers, without those who are known after all."""
    others = read_people(folder)
    check_provenance(made.provenance if made else people.provenance, others.provenance, str(folder))
    if others.vectors.shape[1] != people.vectors.shape[1]:
        raise UsageError(
            f"{folder} has embeddings of {others.vectors.shape[1]} numbers where the others "
            f"have {people.vectors.shape[1]}"
        )
    strangers = ~others.having(made.people if made else people.names)
    if not strangers.any():
        raise UsageError(
            f"unknown={str(folder)!r}: everybody in it is known to the classifier",
            f"unknown={str(folder)!r}",
        )
    return others.only(strangers)


@dataclass(frozen=True, kw_only=True)
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
    """

    outcome: Outcome
    provenance: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.outcome.as_dict(), "provenance": self.provenance}


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
        parts.append(_measure(_train(training, settings), test, strangers))
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
