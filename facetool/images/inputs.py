"""Where a stage takes its images from: an image folder or a ``.rec`` file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from facetool.errors import UsageError
from facetool.images.folder import list_images
from facetool.images.read import RGBImage
from facetool.images.records import SUFFIX, ImageRecords


class Images(Protocol):
    """Images by name. Safe in threads and picklable for worker processes."""

    @property
    def names(self) -> tuple[str, ...]:
        """``<person>/<image>``, deeper, or only ``<image>``; sorted."""

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Places in which there may be images that cannot be listed, with the reason."""

    def read(self, name: str) -> RGBImage:
        """One image, RGB uint8 (H, W, 3).

        Raises:
            ImageError: it cannot be read.
        """

    def read_bytes(self, name: str) -> bytes:
        """The content of one image file, as it is.

        Raises:
            ImageError: it cannot be read.
        """

    def stat(self, name: str) -> tuple[int, int]:
        """Size in bytes and modification time in nanoseconds of what holds the image.

        Raises:
            ImageError: it is gone.
        """

    def without_names(self) -> Images:
        """The same with no list of names to carry about, for reading by name only."""

    def fingerprint(self) -> str:
        """A checksum of what is listed: other images have another one."""


def open_images(path: Path, exclude: Path | None = None) -> Images:
    """The images of a folder or of a ``.rec`` file.

    Args:
        path: folder or file.
        exclude: a subfolder to leave out, such as the output of an earlier run.

    Raises:
        UsageError: it is neither.
        FormatError: the file is damaged as a whole.
    """
    if path.is_dir():
        return list_images(path, exclude)
    if path.suffix.lower() == SUFFIX:
        return ImageRecords(path)
    raise UsageError(f"{path} is neither an image folder nor a {SUFFIX} file")
