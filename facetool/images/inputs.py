"""Where a stage takes its images from: a folder, a ``.rec`` file, a photo or a list of photos."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from facetool.errors import UsageError
from facetool.files.input_file import open_input
from facetool.files.text import counted, decode_text
from facetool.images.choices import Videos
from facetool.images.folder import ImageFolder, answer, list_images, list_paths
from facetool.images.formats import ADVICE, IMAGE_HEAD_BYTES, kind_by_content, kind_by_name
from facetool.images.read import RGBImage
from facetool.images.records import RECORD_SUFFIX, ImageRecords
from facetool.jobs.report import Report

STDIN = Path("-")
TAR = ".tar"


class ImageFiles(Protocol):
    """Files of images by name, for those who know the names already."""

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


class Images(ImageFiles, Protocol):
    """Images by name. Safe in threads and picklable for worker processes."""

    @property
    def names(self) -> tuple[str, ...]:
        """``<person>/<image>``, deeper, or only ``<image>``; sorted."""

    @property
    def place(self) -> Path:
        """The folder or file that the names are relative to."""

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Where there may be images that cannot be listed, with the reason."""

    @property
    def unsupported(self) -> Mapping[str, tuple[str, ...]]:
        """By kind, the names of files that hold images or videos but are not read."""

    def read(self, name: str) -> RGBImage:
        """One image, RGB uint8 (H, W, 3).

        Raises:
            ImageError: it cannot be read.
        """

    def sha256(self, name: str) -> str:
        """The checksum of one image file's content.

        Raises:
            ImageError: it cannot be read.
        """

    def without_names(self) -> Images:
        """The same with no list of names to carry about, for reading by name only."""

    def fingerprint(self) -> str:
        """A checksum of what is listed: other images have another one."""


def open_images(path: Path, exclude: Path | None = None) -> Images:
    """The images of a folder or of a ``.rec`` file.

    Args:
        path: folder, file, or folder of a data set: without images, with one ``.rec`` file.
        exclude: a subfolder to leave out, such as the output of an earlier run.

    Raises:
        UsageError: it is neither.
        FormatError: the file is damaged as a whole.
    """
    if path.is_dir():
        found = list_images(path, exclude)
        records = [] if found.names else sorted(path.glob(f"*{RECORD_SUFFIX}"))
        if len(records) > 1:
            names = ", ".join(one.name for one in records)
            raise UsageError(
                f"{path} holds several {RECORD_SUFFIX} files; give one of them: {names}"
            )
        return ImageRecords(records[0]) if records else found
    if path.suffix.lower() == RECORD_SUFFIX:
        return ImageRecords(path)
    raise UsageError(f"{path} is neither an image folder nor a {RECORD_SUFFIX} file")


def images_at(place: Path) -> Images:
    """Images to be read by the names that a manifest gives them; none is listed.

    Args:
        place: folder or ``.rec`` file, as the manifest has it.

    Raises:
        FormatError: a ``.rec`` file is damaged as a whole.
    """
    if place.suffix.lower() == RECORD_SUFFIX and place.is_file():
        return ImageRecords(place)
    return ImageFolder(place, ())


def open_photos(
    path: Path, exclude: Path | None = None, null: bool = False, videos: Videos = "none"
) -> Images:
    """Photos, wherever they come from: a ``.rec`` file, or what :func:`list_photos` takes.

    Raises:
        UsageError: it is none of these, or nothing of what a list names is there.
        FormatError: a ``.rec`` file is damaged as a whole.
    """
    if path.suffix.lower() == RECORD_SUFFIX and not path.is_dir():
        return ImageRecords(path)
    return list_photos(path, exclude, null, videos)


def list_photos(
    path: Path, exclude: Path | None = None, null: bool = False, videos: Videos = "none"
) -> ImageFolder:
    """Photos in files of their own.

    A list holds a path per line. Paths are relative to the current folder, or, where the first
    is not there, to the folder of the list; those that lead elsewhere, or are absolute, get
    names from the folder above the deepest folder that holds all of them.

    Args:
        path: folder, photo, text file that lists photos, or ``-`` for such a list on stdin.
        exclude: a subfolder to leave out, such as the output of an earlier run. Others of
            facetool's own outputs are passed over.
        null: paths in a list are separated by NUL, as by ``find -print0``.
        videos: which to list.

    Raises:
        UsageError: it is none of these, or nothing of what a list names is there.
    """
    if path == STDIN:
        return _listed("stdin", sys.stdin.buffer.read(), Path(), null, videos)
    if path.is_dir():
        return list_images(path, exclude, photos=True, videos=videos == "all")
    if path.suffix.lower() == TAR and path.is_file():
        raise UsageError(
            f"{path} is a tar archive, which facetool embed reads; unpack it for other commands"
        )
    kind = kind_by_name(path.name)
    try:
        if kind is None and path.is_file():
            with path.open("rb") as file:
                kind = kind_by_content(path.name, file.read(IMAGE_HEAD_BYTES))
        if kind:
            return ImageFolder(path.parent, (path.name,))
        with open_input(path) as file:
            data = file.read()
        return _listed(str(path), data, path.parent, null, videos)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def is_list(path: Path) -> bool:
    """Whether a path stands for photos other than itself: a folder or a list of them."""
    text = kind_by_name(path.name) == "" and path.suffix.lower() != RECORD_SUFFIX
    return path == STDIN or path.is_dir() or text


def unsupported_files(unsupported: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, int]]:
    """For each kind of file that is not read: how many there are, what to do, and the number.

    Args:
        unsupported: by kind, their names.
    """
    for kind, names in sorted(unsupported.items()):
        if names:
            yield (
                counted(len(names), kind),
                f"not read ({one_of(names)}); {ADVICE[kind]}",
                len(names),
            )


def one_of(names: Sequence[str]) -> str:
    """The first of some names, and whether there are more."""
    return f"{names[0]} among them" if len(names) > 1 else names[0]


def report_unread(images: Images, report: Report) -> None:
    """Count and name as failed what looks like a photo in a folder and is not read."""
    for name, reason in images.unreadable:
        report.failed(name, reason)
    for skipped in unsupported_files(images.unsupported):
        report.failed(*skipped)


def _listed(source: str, data: bytes, beside: Path, null: bool, videos: Videos) -> ImageFolder:
    try:
        text = decode_text(data, "surrogateescape")
    except UnicodeDecodeError:
        text = "\0"
    if not null and "\0" in text:
        raise UsageError(
            f"{source} is neither a photo, a folder, a {RECORD_SUFFIX} file nor a text with a path "
            "per line; paths separated by NUL need null=True",
            "null=True",
        )
    paths = [path for path in text.split("\0" if null else "\n") if path.strip()]
    if not paths:
        raise UsageError(f"{source} lists no photos")
    base = Path() if answer(Path(paths[0]).exists) else beside
    if not any(answer((base / path).exists) for path in paths):
        raise UsageError(
            f"nothing of what {source} lists is there ({counted(len(paths), 'path')}, such as "
            f"{paths[0][:80]!r})"
        )
    return list_paths(*_common_root(base, paths), videos=videos)


def _common_root(base: Path, paths: Sequence[str]) -> tuple[Path, list[str]]:
    """A folder and the paths relative to it."""
    plain = [Path(os.path.normpath(path)) for path in paths]
    if not any(path.is_absolute() or path.parts[0] == ".." for path in plain):
        return base, [path.as_posix() for path in plain]
    whole = [Path(os.path.normpath(Path.cwd() / base / path)) for path in plain]
    above = [path.parent if answer(path.is_dir) else path.parent.parent for path in whole]
    root = Path(os.path.commonpath(above))
    return root, [path.relative_to(root).as_posix() for path in whole]
