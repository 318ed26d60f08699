"""The photos of an aligned folder, by their names in ``align.csv``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from facetool.errors import ImageError
from facetool.files.names_below import LEADS_OUT, leads_out
from facetool.images.inputs import Images, images_at
from facetool.images.read import RGBImage, decode_photo


class AlignedPhotos:
    """Finds photos where ``align`` read them, if they are still there. Safe in threads.

    Args:
        inputs: places of the photos, by the name that their crops are kept under, as
            ``align.json`` has them; "" for those that are kept under none.

    Raises:
        FormatError: a ``.rec`` file is damaged as a whole.
    """

    def __init__(self, inputs: Mapping[str, str]) -> None:
        self._inputs = {under: images_at(Path(place)) for under, place in inputs.items()}

    def find(self, name: str) -> tuple[Images, str]:
        """Where a photo is, and its name there.

        Raises:
            ImageError: nobody noted where the photos are, or it would be elsewhere.
        """
        if leads_out(name):
            raise ImageError(LEADS_OUT)
        for under, images in self._inputs.items():
            if under and name.startswith(f"{under}/"):
                return images, name.removeprefix(f"{under}/")
        if "" not in self._inputs:
            raise ImageError("where the photos are is not known")
        return self._inputs[""], name

    def path(self, name: str) -> Path:
        """The file of a photo that has one of its own.

        Raises:
            ImageError: as of :meth:`find`.
        """
        images, own = self.find(name)
        return images.place / own

    def read(self, name: str) -> RGBImage:
        """A photo, RGB uint8 (H, W, 3), also where its file lacks the end.

        Raises:
            ImageError: it cannot be read.
        """
        images, own = self.find(name)
        return decode_photo(images.read_bytes(own)).pixels
