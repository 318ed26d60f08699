"""What ``align`` or ``embed`` noted of the faces behind embeddings: photo, box, quality."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from facetool.files.align_description import read_align_description
from facetool.files.align_manifest import ALIGN_CSV, AlignRow, read_manifest
from facetool.files.embed_plan import plan_name
from facetool.files.storage import FolderStorage
from facetool.files.stored_faces import open_faces


class FaceRows(NamedTuple):
    """Rows of ``align.csv``, and where their photos are.

    Attributes:
        rows: by the name of the crop, as in ``labels.csv``.
        inputs: places of the photos, by the name that their crops are kept under, as
            ``align.json`` has them; "" for those that are kept under none.
    """

    rows: Mapping[str, AlignRow]
    inputs: Mapping[str, str]


def holds_shards(place: Path) -> bool:
    """Whether ``embed`` has written a folder."""
    return (place / plan_name(1)).is_file()


def read_face_rows(place: Path, images: Collection[str]) -> FaceRows:
    """The rows of some faces; without those of which nothing is known.

    Args:
        place: an aligned folder, or what ``embed`` has written.
        images: names of crops, as in ``labels.csv``.

    Raises:
        FormatError: ``align.csv`` or a shard is damaged.
        UsageError: ``embed`` wrote it, and pyarrow is not installed.
        OSError: it cannot be read.
    """
    wanted = set(images)
    if holds_shards(place):
        faces = open_faces(FolderStorage(place))
        return FaceRows(
            {row.output: row for row in faces.rows(wanted)}, {"": faces.plans[-1].source}
        )
    description = read_align_description(place)
    rows = {row.output: row for row in read_manifest(place / ALIGN_CSV) if row.output in wanted}
    return FaceRows(rows, (description.inputs if description else None) or {})
