"""Image folders: ``ROOT/<person>/<image>``, images directly in ROOT, or deeper trees."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from facetool.errors import ImageError, UsageError
from facetool.images.read import RGBImage, decode_image, read_file

SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".ras",
        ".sr",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    }
)


@dataclass(frozen=True)
class ImageFolder:
    """The images under a folder, by name.

    Attributes:
        root: the folder.
        names: paths relative to ``root`` with forward slashes, in sorted order.
        unreadable: subfolders that could not be listed, with the reason.
    """

    root: Path
    names: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...] = ()

    def read(self, name: str) -> RGBImage:
        """One image, RGB uint8 (H, W, 3).

        Raises:
            ImageError: it cannot be read.
        """
        return decode_image(self.read_bytes(name))

    def read_bytes(self, name: str) -> bytes:
        """One image file's content.

        Raises:
            ImageError: it cannot be read.
        """
        return read_file(self.root / name)

    def stat(self, name: str) -> tuple[int, int]:
        """Size in bytes and modification time in nanoseconds.

        Raises:
            ImageError: the file is gone.
        """
        try:
            state = (self.root / name).stat()
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}") from error
        return state.st_size, state.st_mtime_ns

    def without_names(self) -> ImageFolder:
        """The same with no list of names to carry about, for reading by name only."""
        return replace(self, names=())

    def fingerprint(self) -> str:
        """A checksum of names, sizes and times of all images, sha256 in hexadecimal digits."""
        listing = hashlib.sha256()
        for name in self.names:
            state = (self.root / name).stat()
            line = f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n"
            listing.update(line.encode("utf-8", "surrogateescape"))
        return listing.hexdigest()


def list_images(root: Path, exclude: Path | None = None) -> ImageFolder:
    """Find all images under ``root``, following links, in an order that never varies.

    Hidden files and folders are passed over. Files are taken by their suffix, so that a
    damaged image is found (and reported later) and a text file is not.

    Args:
        root: the folder.
        exclude: a subfolder to leave out, such as the output of an earlier run.

    Raises:
        UsageError: ``root`` is no readable folder.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder")
    names: list[str] = []
    unreadable: list[tuple[str, str]] = []
    excluded = exclude.resolve() if exclude else None
    _walk(root, "", frozenset(), excluded, names.append, unreadable)
    if unreadable and unreadable[0][0] == ".":
        raise UsageError(f"cannot list {root}: {unreadable[0][1]}")
    return ImageFolder(root, tuple(sorted(names)), tuple(sorted(unreadable)))


def _walk(
    folder: Path,
    prefix: str,
    above: frozenset[Path],
    excluded: Path | None,
    found: Callable[[str], None],
    unreadable: list[tuple[str, str]],
) -> None:
    real = folder.resolve()
    if real in above or real == excluded:  # a link back up, or the output
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        unreadable.append((prefix.rstrip("/") or ".", error.strerror or str(error)))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            inside = f"{prefix}{entry.name}/"
            _walk(Path(entry.path), inside, above | {real}, excluded, found, unreadable)
        elif Path(entry.name).suffix.lower() in SUFFIXES:
            found(prefix + entry.name)
