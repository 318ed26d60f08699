"""People by the names that a photo manager has given to their faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facetool.detection.tracks import overlap
from facetool.embedding.people import People, read_people
from facetool.errors import FormatError, ImageError, UsageError
from facetool.files.align_description import read_align_description
from facetool.files.align_manifest import ALIGN_CSV, AlignRow, read_manifest
from facetool.files.text import counted
from facetool.images.aligned_photos import AlignedPhotos
from facetool.images.named_faces import BoxedName, read_names
from facetool.jobs.progress import listener

_LEAST_OVERLAP = 0.25
"""Intersection over union from which two boxes are those of one face: programs draw them in
different sizes around it."""


def read_named_people(reps: Path, *, unit_length: bool | None = None) -> People:
    """Read a represent folder; a person is named as their face is in the photo's XMP.

    Faces without a name are left out, and those that only facetool has named.

    Args:
        reps: the folder; the aligned folder it was made of and the photos must still be there.
        unit_length: as :func:`facetool.embedding.people.read_people` takes it.

    Raises:
        UsageError: the aligned folder is gone, no face has a name, or embeddings are not of unit
            length and nothing says whether they are compared so.
        FormatError: a folder is damaged.
    """
    people = read_people(reps, unsorted=True, unit_length=unit_length)
    crops = Path(people.description.input or "")
    description = read_align_description(crops)
    if description is None:
        raise UsageError(
            f"{reps}: the aligned folder {crops} is not there, which says where each face is; "
            "if it has moved, run facetool represent on it again"
        )
    rows = {row.output: row for row in read_manifest(crops / ALIGN_CSV) if row.output}
    photos = AlignedPhotos(description.inputs or {})
    known: dict[str, list[BoxedName]] = {}
    names = []
    for image in people.images:
        row = rows.get(image)
        if row is None:
            names.append("")
            continue
        if row.input not in known:
            known[row.input] = _names_of(photos, row.input)
        names.append(_match(row, known[row.input]))
    named = np.array([bool(name) for name in names], bool)
    if not named.any():
        faces = counted(len(names), "face")
        raise UsageError(
            f"{reps}: none of its {faces} has a name in the XMP of its photo, "
            "besides what facetool wrote there"
        )
    found, labels = np.unique([name for name in names if name], return_inverse=True)
    return replace(
        people,
        names=found.tolist(),
        labels=labels.astype(np.int64),
        vectors=people.vectors[named],
        images=[image for image, name in zip(people.images, names, strict=True) if name],
    )


def _names_of(photos: AlignedPhotos, name: str) -> list[BoxedName]:
    try:
        return [face for face in read_names(photos.path(name)) if not face.guessed]
    except (ImageError, FormatError) as error:
        listener().remark(name, str(error))
        return []


def _match(row: AlignRow, faces: Sequence[BoxedName]) -> str:
    """The name of the face that a crop shows; empty where none is near."""
    if row.edges is None:
        return ""
    best, name = _LEAST_OVERLAP, ""
    for face in faces:
        share = overlap(row.edges, face.box)
        if share >= best:
            best, name = share, face.name
    return name
