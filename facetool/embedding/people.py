"""A represent folder as people: whose embeddings they are, and from which network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facetool.classification.classifier import prepare
from facetool.classification.provenance import Provenance
from facetool.errors import FacetoolError, FormatError, UsageError, check_range
from facetool.files.embeddings import read_embeddings
from facetool.files.represent_description import REPRESENT_JSON, RepresentDescription
from facetool.files.text import same_spelling
from facetool.networks.pair_threshold import PairThreshold
from facetool.networks.registry import ARCHITECTURES
from facetool.weights.catalogue import CATALOGUE

UNSORTED = ""
"""The person of images that lie in no person's folder."""

NO_FOLDER = "no folder"
"""How that person is shown."""

_ROUNDED = 1e-3
"""How far from 1 float16 and decimals can bring a unit length."""


@dataclass(frozen=True)
class People:
    """Embeddings by person.

    Attributes:
        names: C names, sorted.
        labels: int64 (N,), the number of each image's person.
        vectors: float32 (N, D) as the network gives them.
        images: N image paths as in ``labels.csv``.
        provenance: where the embeddings come from.
        missed: images left out because their face was not found.
        description: ``represent.json``.
    """

    names: list[str]
    labels: NDArray[np.int64]
    vectors: NDArray[np.float32]
    images: list[str]
    provenance: Provenance
    missed: int
    description: RepresentDescription

    def prepared(self) -> NDArray[np.float64]:
        """The embeddings as the network compares them."""
        return prepare(self.vectors, self.provenance)

    def only(self, rows: NDArray[np.bool_]) -> People:
        """Some of the images, and the people they show."""
        kept, labels = np.unique(self.labels[rows], return_inverse=True)
        images = [image for image, keep in zip(self.images, rows, strict=True) if keep]
        return People(
            [self.names[k] for k in kept],
            labels.astype(np.int64),
            self.vectors[rows],
            images,
            self.provenance,
            self.missed,
            self.description,
        )

    def having(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Which images show one of these people."""
        wanted = np.array([name in names for name in self.names], bool)
        return np.asarray(wanted[self.labels])


def read_people(reps: Path, *, unsorted: bool = False, unit_length: bool | None = None) -> People:
    """Read a represent folder; a person is named by the folder an image lies in.

    Images whose face was missed, and which were cut around their centre, are left out.

    Args:
        reps: the folder.
        unsorted: images that lie in no person's folder are taken as those of one, without a name.
        unit_length: whether embeddings are compared at unit length, where that is known of their
            network; default: as the folder says.

    Raises:
        FormatError: the folder is damaged, or images lie in no person's folder.
        UsageError: embeddings are not of unit length, and nothing says whether they are compared
            so.
        FacetoolError: no face was found.
    """
    embeddings = read_embeddings(reps)
    missed = embeddings.missed_faces
    kept = np.array([name not in missed for name in embeddings.names], bool)
    images = [name for name in embeddings.names if name not in missed]
    if not images:
        raise FacetoolError(f"{reps} has no image with a face that was found")
    folders = [PurePosixPath(same_spelling(image)).parent for image in images]
    for image, folder in zip(images, folders, strict=True):
        if not (folder.name or unsorted):
            raise FormatError(
                f"{reps}: {image} lies in no person's folder; the photos must be sorted as "
                "ROOT/<person>/<image> before facetool align"
            )
    # Two people of one name, in different places, keep their whole path.
    places: dict[str, set[str]] = {}
    for folder in folders:
        places.setdefault(folder.name, set()).add(str(folder))
    owners = [f.name if len(places[f.name]) == 1 else str(f) for f in folders]
    names, labels = np.unique(owners, return_inverse=True)
    vectors = embeddings.vectors[kept]
    if unit_length is None:
        unit_length = _compared_at_unit_length(embeddings.description, vectors, reps)
    return People(
        names.tolist(),
        labels.astype(np.int64),
        vectors,
        images,
        Provenance.of(embeddings.description, unit_length=unit_length),
        int((~kept).sum()),
        embeddings.description,
    )


def _compared_at_unit_length(
    description: RepresentDescription, vectors: NDArray[np.float32], reps: Path
) -> bool:
    """Whether embeddings are scaled to unit length: as stated, or as their network's are.

    Raises:
        UsageError: neither is known, and it matters.
    """
    if description.unit_length is not None:
        return description.unit_length
    if known := ARCHITECTURES.get(description.network or ""):
        return known.unit_length
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    lengths = lengths[lengths > 0]  # zeros stay as they are either way
    if np.abs(lengths - 1).max(initial=0) > _ROUNDED:
        raise UsageError(
            f"{reps}: its embeddings have lengths of {lengths.min():.4g} to {lengths.max():.4g}, "
            "and nothing says how they are compared; write into "
            f'{reps / REPRESENT_JSON} {{"unit_length": false}} (as they are, as dlib\'s) or '
            '{"unit_length": true} (scaled to unit length, as ArcFace\'s)'
        )
    return True


def pair_threshold(description: RepresentDescription) -> PairThreshold | None:
    """The threshold between two photos that is known of these embeddings, if one is.

    Raises:
        FormatError: what the folder says of it is damaged.
    """
    if description.flip not in (None, "none"):
        return None
    if description.threshold is not None:
        return PairThreshold.from_dict(description.threshold)
    published = CATALOGUE.get(description.weights_name or "")
    return published.threshold if published else None


def same_person_threshold(people: People, given: float | None, reps: Path) -> float:
    """Squared L2 where "same person" ends: as given, or as published for the weights.

    Raises:
        UsageError: it is neither, or negative or not finite.
    """
    if given is not None:
        check_range("threshold", given, 0)
        return given
    published = pair_threshold(people.description)
    if published is None:
        name = people.provenance.weights or "the network of this folder"
        raise UsageError(
            f"no threshold is known for {name}; give one with threshold=X, the squared L2 below "
            f"which two faces are one person's (facetool lfw-eval {reps} finds it on your pairs)",
            "threshold=X",
        )
    return published.squared_l2
