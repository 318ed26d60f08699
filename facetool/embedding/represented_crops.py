"""The crops behind a represent folder, for its reports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from facetool.detection.face import Box
from facetool.detection.face_images import cut_around
from facetool.errors import ImageError
from facetool.files.align_manifest import AlignRow
from facetool.files.face_rows import holds_shards
from facetool.files.represent_description import RepresentDescription
from facetool.files.storage import FolderStorage
from facetool.files.stored_faces import StoredFaces, open_faces
from facetool.images.aligned_photos import AlignedPhotos
from facetool.images.inputs import images_at
from facetool.images.read import RGBImage, decode_image


class Crops:
    """Reads crops by their names in ``labels.csv``.

    Args:
        description: of the represent folder, which says where its crops were.
    """

    def __init__(self, description: RepresentDescription) -> None:
        place = Path(description.input or "")
        self._read: Callable[[str], RGBImage]
        if holds_shards(place):
            self._read = _ShardCrops(open_faces(FolderStorage(place))).read
        else:
            self._read = images_at(place).read

    def reader(self, name: str) -> Callable[[], RGBImage]:
        """What reads a crop; it raises ImageError where the crop is not there."""
        return partial(self._read, name)


class _ShardCrops:
    """Faces that ``embed`` found: cut out of the photos, or as they were kept. Safe in threads."""

    def __init__(self, faces: StoredFaces) -> None:
        self._faces = faces
        self._photos = AlignedPhotos({"": faces.plans[-1].source})
        self._places = {row.output: _place(row) for row in faces.rows(set(faces.names))}

    def read(self, name: str) -> RGBImage:
        try:
            photo, box = self._places[name]
            try:
                pixels = self._photos.read(photo)
            except ImageError:
                kept = self._faces.crop(name)
                if kept is None:
                    raise
                return decode_image(kept)
        except KeyError:
            raise ImageError("it is not there") from None
        return pixels if box is None else cut_around(pixels, box)


def _place(row: AlignRow) -> tuple[str, Box | None]:
    return row.input, Box(*row.edges) if row.edges else None
