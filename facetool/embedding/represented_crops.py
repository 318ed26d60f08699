"""The crops behind a represent folder, for its reports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from facetool.files.represent_description import RepresentDescription
from facetool.images.inputs import images_at
from facetool.images.read import RGBImage


class Crops:
    """Reads crops by their names in ``labels.csv``.

    Args:
        description: of the represent folder, which says where its crops were.
    """

    def __init__(self, description: RepresentDescription) -> None:
        self._images = images_at(Path(description.input or ""))

    def reader(self, name: str) -> Callable[[], RGBImage]:
        """What reads a crop; it raises ImageError where the crop is not there."""
        return partial(self._images.read, name)
