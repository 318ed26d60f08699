"""Image folders: ``ROOT/<person>/<image>``, images directly in ROOT, or deeper trees."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from facetool.errors import ImageError, UsageError
from facetool.files.input_file import NOT_A_FILE, open_input
from facetool.files.names_below import LEADS_OUT, leads_out
from facetool.files.own_outputs import holds_crops, own_images
from facetool.files.text import counted
from facetool.images.choices import Videos
from facetool.images.formats import IMAGE, IMAGE_HEAD_BYTES, VIDEO, kind_by_content, kind_by_name
from facetool.images.read import RGBImage, decode_image, read_file
from facetool.jobs.progress import listener

_PART = 2**20
"""Bytes of a file that are held at once."""


@dataclass(frozen=True)
class ImageFolder:
    """The images under a folder, by name.

    Attributes:
        root: the folder.
        names: paths relative to ``root`` with forward slashes, in sorted order.
        unreadable: subfolders that could not be listed, and what may be a photo but is no file,
            with the reason.
        unsupported: by kind, the names of files that hold images or videos but are not read.
    """

    root: Path
    names: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    unsupported: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        """The folder that the names are relative to."""
        return self.root

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
        return read_file(self._path(name))

    def sha256(self, name: str) -> str:
        """The checksum of one file's content, never held as a whole.

        Raises:
            ImageError: it cannot be read.
        """
        content = hashlib.sha256()
        try:
            with open_input(self._path(name)) as file:
                while part := file.read(_PART):
                    content.update(part)
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}") from error
        return content.hexdigest()

    def stat(self, name: str) -> tuple[int, int]:
        """Size in bytes and modification time in nanoseconds.

        Raises:
            ImageError: the file is gone.
        """
        try:
            state = self._path(name).stat()
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}") from error
        return state.st_size, state.st_mtime_ns

    def _path(self, name: str) -> Path:
        if leads_out(name):
            raise ImageError(f"not read: {LEADS_OUT}")
        return self.root / name

    def without_names(self) -> ImageFolder:
        """The same with no list of names to carry about, for reading by name only."""
        return replace(self, names=(), unsupported={})

    def fingerprint(self) -> str:
        """A checksum of names, sizes and times of all images, sha256 in hexadecimal digits."""
        listing = hashlib.sha256()
        for name in self.names:
            try:
                state = (self.root / name).stat()
                line = f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n"
            except OSError:  # a link to nowhere, or a file gone since
                line = f"{name}\0\n"
            listing.update(line.encode("utf-8", "surrogateescape"))
        return listing.hexdigest()


def list_images(
    root: Path, exclude: Path | None = None, *, photos: bool = False, videos: bool = False
) -> ImageFolder:
    """Find all images under ``root``, following links, in an order that never varies.

    Hidden files and folders are passed over. A suffix of an image is believed, so that a
    damaged image is found (and reported later), and so is one of a text and the like; of all
    other files the first bytes decide.

    Args:
        root: the folder.
        exclude: a subfolder to leave out, such as the output of an earlier run.
        photos: pass over what facetool itself wrote, crops, annotated copies and plots, and
            remark upon it.
        videos: list videos, too.

    Raises:
        UsageError: ``root`` is no readable folder, or where photos are wanted one of crops.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder")
    listing = _Listing(root, exclude, photos, videos)
    listing.walk(root, "", frozenset())
    found = listing.finish()
    if found.unreadable and found.unreadable[0][0] == ".":
        raise UsageError(f"{root} {found.unreadable[0][1]}")
    return found


def list_paths(root: Path, names: Iterable[str], *, videos: Videos = "none") -> ImageFolder:
    """The images among files and folders that somebody listed.

    Args:
        root: what ``names`` are relative to.
        names: with forward slashes; of what is not there an image is expected.
        videos: which to list.
    """
    listing = _Listing(root, None, photos=True, videos=videos == "all")
    for name in dict.fromkeys(names):
        path = root / name
        if answer(path.is_dir):
            listing.walk(path, f"{name}/", frozenset())
        else:
            listing.add(name, answer(path.is_file), videos=videos != "none")
    return listing.finish()


def answer(question: Callable[[], bool]) -> bool:
    """``Path.is_dir()`` and its like; no where the system cannot tell (a link to itself, a name
    that is too long): the reader says why."""
    try:
        return question()
    except OSError:
        return False


class _Listing:
    """What is found on the way, as :class:`ImageFolder` holds it."""

    def __init__(self, root: Path, exclude: Path | None, photos: bool, videos: bool) -> None:
        self._root = root
        self._photos = photos
        self._videos = videos
        self._excluded = exclude.resolve() if exclude else None
        self._names: list[str] = []
        self._unreadable: list[tuple[str, str]] = []
        self._unsupported: dict[str, list[str]] = {}

    def walk(self, folder: Path, prefix: str, above: frozenset[Path]) -> None:
        real = folder.resolve()
        if real in above or real == self._excluded:  # a link back up, or the output
            return
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            self._lack(prefix.rstrip("/") or ".", "cannot be listed", error)
            return
        own: set[str] = set()
        if self._photos:
            names = {entry.name for entry in entries}
            if holds_crops(names):
                self._pass_over_crops(folder, prefix)
                return
            if own := own_images(folder, names):
                what = f"{counted(len(own), 'image')} that facetool wrote there, passed over"
                listener().remark(str(folder), what)
        for entry in entries:
            if entry.name.startswith(".") or entry.name in own:
                continue
            if answer(entry.is_dir):
                self.walk(Path(entry.path), f"{prefix}{entry.name}/", above | {real})
            else:
                self.add(prefix + entry.name, answer(entry.is_file), videos=self._videos)

    def _pass_over_crops(self, folder: Path, prefix: str) -> None:
        if not prefix:
            raise UsageError(
                f"{folder} holds crops of facetool align; give the photos they were cut from"
            )
        listener().remark(str(folder), "crops of facetool align are passed over")

    def add(self, name: str, is_file: bool, *, videos: bool) -> None:
        """Take note of what is no folder; ``is_file``: nor a pipe or a link to nowhere."""
        kind: str | None = kind_by_name(name)
        if kind == IMAGE and is_file:
            self._names.append(name)
            return
        if kind == "":
            return
        path = self._root / name
        if not is_file and answer(path.exists):
            if kind == IMAGE:  # from a pipe nothing may ever come
                self._unreadable.append((name, f"cannot be read: {NOT_A_FILE}"))
            return
        if kind is None:
            try:
                with path.open("rb") as file:
                    kind = kind_by_content(name, file.read(IMAGE_HEAD_BYTES))
            except OSError as error:
                self._lack(name, "cannot be read", error)
        if kind == IMAGE or (kind == VIDEO and videos):
            self._names.append(name)
        elif kind is not None:
            self._unsupported.setdefault(kind, []).append(name)

    def _lack(self, name: str, what: str, error: OSError) -> None:
        self._unreadable.append((name, f"{what}: {error.strerror or error}"))

    def finish(self) -> ImageFolder:
        return ImageFolder(
            self._root,
            tuple(sorted(set(self._names))),
            tuple(sorted(self._unreadable)),
            {kind: tuple(sorted(names)) for kind, names in sorted(self._unsupported.items())},
        )
