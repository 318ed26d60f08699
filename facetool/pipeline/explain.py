"""``align --explain``: how faces were cut out, as a plot."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facetool.alignment.outline import crop_outline
from facetool.alignment.recipes import Crop
from facetool.errors import FacetoolError
from facetool.files.align_manifest import ALIGN_CSV, read_manifest
from facetool.images.inputs import open_photos
from facetool.images.read import decode_photo, read_image
from facetool.plots.alignment import ExplainedCrop, alignment_figure
from facetool.plots.style import check_name, save_plot

MOST_FACES = 6
"""Rows of a plot that a page holds."""


def explain_alignment(
    photos: Path, crops: Path, crop: Crop, plot: Path, *, into: str | None = None
) -> None:
    """Draw of the first faces that were cut out of photos their box, landmarks, transform and crop.

    Args:
        photos: what was aligned, as :func:`facetool.pipeline.align.align` takes it.
        crops: where to.
        crop: the recipe.
        plot: ``.png`` or ``.pdf``.
        into: the name under which the crops lie, where they do.

    Raises:
        UsageError: the plot's name is another.
        FacetoolError: no face was found.
        OutputError: the plot cannot be written.
    """
    check_name(plot)
    source = open_photos(photos, crops)
    there = set(source.names)
    faces: list[ExplainedCrop] = []
    prefix = f"{into}/" if into else ""
    for row in read_manifest(crops / ALIGN_CSV):
        name = row.input.removeprefix(prefix)
        ours = row.input.startswith(prefix) and name in there
        if row.status != "aligned" or not row.edges or not ours or len(faces) == MOST_FACES:
            continue
        if row.time:  # the frame is not read again
            continue
        points = np.array(row.landmarks.split(), float).reshape(-1, 2)
        faces.append(
            ExplainedCrop(
                row.input,
                decode_photo(source.read_bytes(name)).pixels,
                row.edges,
                points,
                crop_outline(points, crop),
                read_image(crops / row.output),
                f"{crop.method}, {crop.width}x{crop.height}",
            )
        )
    if not faces:
        raise FacetoolError(f"{crops} has no crop of a face that was found in {photos}")
    save_plot(alignment_figure(faces), plot)
