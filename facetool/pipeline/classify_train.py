"""``classify train``: from represent folders to a classifier."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facetool.classification import classifier as classification
from facetool.classification.choices import DEFAULT_FPIR
from facetool.classification.classifier import UNKNOWN, Classifier
from facetool.classification.classifier_file import save_classifier
from facetool.classification.fit import FITTERS
from facetool.classification.open_set import FEWEST_PEOPLE
from facetool.classification.provenance import Provenance, check_provenance
from facetool.embedding.named_people import read_named_people
from facetool.embedding.people import People, pair_threshold, read_people
from facetool.errors import UsageError, check_choice, check_range
from facetool.files.embeddings_writer import own_files
from facetool.files.output_file import check_output
from facetool.files.paths import optional_path
from facetool.files.represent_description import RepresentDescription
from facetool.files.safetensors_texts import CLASSIFIER_KEY, safetensors_with
from facetool.files.text import counted

if TYPE_CHECKING:
    from facetool.networks.base import EmbeddingNetwork

CLASSIFIER_FILE = "classifier.safetensors"


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """How a classifier is made.

    Attributes:
        kind: key of :data:`facetool.classification.fit.FITTERS`.
        lda_dim: dimensions to keep by LDA; None for no LDA.
        fpir: false positive identification rate of the rejection threshold, 0…1.

    Raises:
        UsageError: there is no such kind, or the rate is none.
    """

    kind: str = "linear-svm"
    lda_dim: int | None = None
    fpir: float = DEFAULT_FPIR

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, FITTERS)
        check_range("fpir", self.fpir, 0, 1)


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
    reps: str | Path,
    output: str | Path,
    settings: ClassifierSettings,
    *,
    xmp: bool = False,
    strangers: str | Path | None = None,
    network: EmbeddingNetwork | None = None,
) -> TrainingResult:
    """Train a classifier on a represent folder and write it to a file.

    Args:
        reps: the represent folder.
        output: the file.
        settings: how the classifier is made.
        xmp: take people's names from the XMP of the photos instead of the folders.
        strangers: represent folder of other people, on whom the threshold is calibrated; those
            whose names are known from ``reps`` are left out.
        network: that made the embeddings, where the folder does not say: OpenFace's own folders
            have no ``represent.json``.

    Raises:
        FormatError: the folder is damaged.
        UsageError: there are too few people, an option does not fit, the folder is of another
            network, nothing says whether embeddings of other lengths are compared at unit length,
            or the file is there and no classifier.
        OutputError: the file cannot be written.
    """
    reps, output = Path(reps), Path(output)
    strangers = optional_path(strangers)
    check_output(
        output,
        "classifier",
        safetensors_with(CLASSIFIER_KEY),
        inputs=[*own_files(reps), *(own_files(strangers) if strangers else ())],
    )
    read = read_named_people if xmp else read_people
    people = read(reps, unit_length=network.info.unit_length if network else None)
    if network is not None:
        people = _made_by(network, people, reps)
    unknown = people.having(strangers_among(people))
    warnings = []
    if unknown.any():
        warnings.append(
            f"left out of the training: {counted(int(unknown.sum()), 'image')} of the folder "
            f"{', '.join(strangers_among(people))}, which holds strangers, not a person of that "
            "name"
        )
        if unknown.all():
            raise UsageError(f"{reps} has no person but {UNKNOWN!r}")
        people = people.only(~unknown)
    others = None
    if strangers is not None:
        others, left_out = other_people(strangers, people.provenance, people.names, people.vectors)
        warnings += left_out
        if len(others.names) < FEWEST_PEOPLE:
            raise UsageError(
                f"a threshold takes {FEWEST_PEOPLE} strangers or more, here are "
                f"{'; '.join([str(len(others.names)), *left_out])}",
            )
    if len(people.names) == 1:
        if others is None:
            _check_threshold(people)
            warnings.append(
                "with one person the classifier is nearest-mean, and how often strangers take the "
                "name cannot be measured; a folder of other people makes that possible: "
                "strangers=REPS"
            )
        settings = replace(settings, kind="nearest-mean", lda_dim=None)
    made = fit_people(people, settings, others)
    save_classifier(made, output)
    if people.missed:
        warnings.append(
            f"left out of the training: {counted(people.missed, 'image')} whose face was not found"
        )
    if not made.provenance.network:
        warnings.append(
            f"{reps} does not say which network made it (no represent.json, or none that names "
            "it), so this classifier can be evaluated on such folders but cannot name faces in "
            "photos until you say it: "
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
            f"{reps} holds embeddings of {counted(size, 'dimension')}, {info.weights_name} gives "
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
    if reason := people.description.difference(made, "unit_length"):
        raise UsageError(f"{reps} was made otherwise than model says: {reason}", "model")
    return replace(
        people, provenance=Provenance.of(made, unit_length=info.unit_length), description=made
    )


def strangers_among(people: People) -> list[str]:
    """Folders that are called as the answer for strangers is."""
    return [name for name in people.names if name.casefold() == UNKNOWN]


def _check_threshold(people: People) -> None:
    """A classifier of one person has nothing to tell apart: its threshold decides.

    Raises:
        UsageError: no threshold is published for the network.
    """
    if pair_threshold(people.description) is None:
        raise UsageError(
            f"a classifier for {people.names[0]!r} alone needs a threshold, and none is published "
            "for this network; add folders of other people, or strangers=REPS",
            "strangers=REPS",
        )


def other_people(
    folder: Path, provenance: Provenance, known: Collection[str], vectors: NDArray[np.float32]
) -> tuple[People, list[str]]:
    """A folder of strangers, without those who are known after all.

    Args:
        folder: a represent folder.
        provenance: that it must have.
        known: names of people.
        vectors: (N, D), whose size its embeddings must have.

    Returns:
        The strangers, and what was left out, a sentence each.

    Raises:
        FormatError: the folder is damaged.
        UsageError: it is of another network, or has nobody else.
    """
    others = read_people(folder)
    check_provenance(provenance, others.provenance, str(folder))
    if others.vectors.shape[1] != vectors.shape[1]:
        raise UsageError(
            f"{folder} has embeddings of {counted(others.vectors.shape[1], 'dimension')} where the "
            f"others have {vectors.shape[1]}"
        )
    strangers = ~others.having(known)
    if not strangers.any():
        raise UsageError(f"{folder}: everybody in it is known, and so nobody a stranger")
    left_out = []
    if not strangers.all():
        names = others.only(~strangers).names
        left_out.append(
            f"left out of the strangers: {counted(int((~strangers).sum()), 'image')} of "
            f"{counted(len(names), 'known person', 'known people')} "
            f"({', '.join(names[:3])}{' …' * (len(names) > 3)})"
        )
    if others.missed:
        left_out.append(
            f"left out of the strangers: {counted(others.missed, 'image')} whose face was not found"
        )
    return others.only(strangers), left_out


def fit_people(
    people: People, settings: ClassifierSettings, strangers: People | None = None
) -> Classifier:
    """A classifier of these people, with the threshold published for their network if any."""
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
        None if strangers is None else (strangers.vectors, strangers.labels),
    )


def _threshold_warnings(made: Classifier) -> list[str]:
    people = counted(len(made.people), "person", "people")
    few = f"with {people} no rejection threshold can be calibrated (5 are needed)"
    if made.threshold.source == "network":
        return [
            f"{few}; the network's published one is used, so how many strangers get named "
            "is not known"
        ]
    if made.threshold.source == "none":
        return [f"{few}, and none is published for this network: every stranger gets a name"]
    if made.threshold.cosine >= 1:
        return [
            f"a share of {made.threshold.fpir:g} is less than these people can measure: no face is "
            "similar enough for a name; give a larger one with fpir=X"
        ]
    return []
