"""Which images of a represent folder are good enough, by what ``align`` or ``embed`` measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetool.embedding.people import People
from facetool.errors import FacetoolError, UsageError
from facetool.files.align_manifest import ALIGN_CSV
from facetool.files.face_rows import holds_shards, read_face_rows
from facetool.files.text import counted


def leave_out_poor(
    people: People, reps: Path, min_face: float = 0, min_sharpness: float = 0
) -> People:
    """The people without the images of small or blurred faces.

    Args:
        people: of a represent folder; what it was made of, an aligned folder or what ``embed``
            wrote, must still be there.
        reps: that folder.
        min_face: shorter edge of the box in pixels that a face must have.
        min_sharpness: sharpness that its crop must have.

    Raises:
        UsageError: the quality of the images is not known.
        FormatError: ``align.csv`` or a shard is damaged.
        FacetoolError: no image is left.
    """
    if not (min_face or min_sharpness):
        return people
    good = _good(people.images, Path(people.description.input or ""), min_face, min_sharpness)
    if not good.any():
        faces = counted(len(good), "face")
        raise FacetoolError(f"{reps}: none of its {faces} is large and sharp enough")
    return people.only(good)


def _good(
    images: Sequence[str], crops: Path, min_face: float, min_sharpness: float
) -> NDArray[np.bool_]:
    shards = holds_shards(crops)
    manifest = crops if shards else crops / ALIGN_CSV
    if not (shards or manifest.is_file()):
        raise UsageError(
            f"how good the faces are stands in {manifest}, which is not there; if that has "
            "moved, run facetool represent or merge on it again, or leave min_face and "
            "min_sharpness out",
            "min_face",
            "min_sharpness",
        )
    rows = read_face_rows(crops, images).rows
    good = np.zeros(len(images), bool)
    for place, image in enumerate(images):
        row = rows.get(image)
        if row is None or not row.sharpness:
            raise UsageError(
                f"{manifest} does not say how good the face of {image} is; an earlier facetool "
                "wrote it, so run facetool align again with overwrite=True, and facetool represent",
                "overwrite=True",
            )
        size = float(row.size or 0)
        good[place] = size >= min_face and float(row.sharpness) >= min_sharpness
    return good
