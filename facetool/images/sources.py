"""Where photos of any number lie: on this machine, in an object store, or in tar archives."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from facetool.errors import FormatError, ImageError, OutputError, UsageError, one_line
from facetool.files.embed_plan import ListedPhoto
from facetool.files.input_file import NOT_A_FILE
from facetool.files.names_below import leads_out
from facetool.files.storage import is_url, open_filesystem, patiently
from facetool.files.text import counted
from facetool.images.changes import is_there
from facetool.images.folder import ImageFolder
from facetool.images.formats import IMAGE, IMAGE_HEAD_BYTES, kind_by_content, kind_by_name
from facetool.images.inputs import TAR, ImageFiles, Images, one_of, open_photos, unsupported_files
from facetool.images.records import ImageRecords

_HEADS = 1000
"""Beginnings of files that are read of a store at a time."""

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class PhotoList(NamedTuple):
    """What a source holds.

    Attributes:
        photos: sorted by name.
        unlisted: (name, reason, number) of what cannot be listed or is not read.
    """

    photos: list[ListedPhoto]
    unlisted: list[tuple[str, str, int]]


class PhotoSource(Protocol):
    """Photos by name. Safe in threads and picklable."""

    @property
    def place(self) -> str:
        """The folder, file or URL."""

    def listing(self, earlier: Collection[str] = ()) -> PhotoList:
        """All photos; this may take long.

        Args:
            earlier: photos known before, which a list of photos need not name again.

        Raises:
            UsageError: there is nothing of that name.
            FormatError: an archive is damaged.
        """

    def files(self, photos: Sequence[ListedPhoto]) -> list[ImageFiles]:
        """What each of these photos can be read from, in any process of this machine.

        Photos that lie elsewhere are read now, and held.

        Raises:
            UsageError: an archive has changed since they were listed.
            OutputError: a store does not answer.
        """


def open_source(place: str, exclude: Path | None = None, null: bool = False) -> PhotoSource:
    """The source at a place.

    Args:
        place: folder, ``.rec`` file, photo, list of photos, ``-`` for such a list on stdin, a URL
            that fsspec knows, or tar archives as WebDataset makes them: ``faces.tar`` or
            ``faces-{000..127}.tar``, also as a URL.
        exclude: a subfolder to leave out, such as the output.
        null: paths in a list are separated by NUL.

    Raises:
        UsageError: it is none of these.
    """
    place = place.removeprefix("file://")  # a folder like any other, as open_storage has it
    if place.lower().endswith(TAR):
        return TarPhotos(place)
    if is_url(place):
        return UrlPhotos(place)
    path = Path(place)
    if place != "-" and not path.exists():
        raise UsageError(f"{place} does not exist")
    return LocalPhotos(place, exclude, null)


class LocalPhotos:
    """Photos that :func:`facetool.images.inputs.open_photos` knows; the arguments are its.

    A folder is walked through only when its photos are listed.
    """

    def __init__(self, place: str, exclude: Path | None = None, null: bool = False) -> None:
        self._path = Path(place)
        self._exclude = exclude
        self._null = null
        self._found: Images | None = None if self._path.is_dir() else self._open()
        here = self._path if self._found is None else self._found.place
        self.place = str(here.resolve())
        self._files: Images = (
            ImageFolder(self._path, ()) if self._found is None else self._found.without_names()
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_found": None}

    def _open(self) -> Images:
        return open_photos(self._path, self._exclude, self._null)

    def listing(self, earlier: Collection[str] = ()) -> PhotoList:
        """See :meth:`PhotoSource.listing`."""
        found = self._found or self._open()
        names: Collection[str] = found.names
        if not self._path.is_dir():
            names = {*names, *(name for name in earlier if is_there(found, name))}
        unlisted = [(name, reason, 1) for name, reason in found.unreadable]
        unlisted += unsupported_files(found.unsupported)
        return PhotoList([self._listed(found, name) for name in sorted(names)], unlisted)

    def _listed(self, found: Images, name: str) -> ListedPhoto:
        if isinstance(found, ImageRecords):  # of the file as a whole
            return ListedPhoto(name, 0, found.fingerprint()[:16])
        try:
            size, modified = found.stat(name)
        except ImageError:  # whoever reads it will say so
            return ListedPhoto(name, 0, "")
        return ListedPhoto(name, size, str(modified))

    def files(self, photos: Sequence[ListedPhoto]) -> list[ImageFiles]:
        """See :meth:`PhotoSource.files`."""
        return [self._files] * len(photos)


@dataclass(frozen=True)
class HeldPhoto:
    """A photo that has been read, or the reason why it could not be."""

    content: bytes
    error: str = ""

    def read_bytes(self, name: str) -> bytes:
        """See :meth:`ImageFiles.read_bytes`."""
        if self.error:
            raise ImageError(self.error)
        return self.content

    def stat(self, name: str) -> tuple[int, int]:
        """See :meth:`ImageFiles.stat`; the time is not known."""
        return len(self.content), 0


class UrlPhotos:
    """Photos below a prefix of an object store.

    Args:
        place: the URL.

    Raises:
        UsageError: fsspec, or what it needs for such URLs, is not installed.
    """

    def __init__(self, place: str) -> None:
        self.place = place.rstrip("/")
        self._filesystem, self._path = open_filesystem(self.place)

    def __reduce__(self) -> tuple[Any, ...]:
        return UrlPhotos, (self.place,)

    def listing(self, earlier: Collection[str] = ()) -> PhotoList:
        """See :meth:`PhotoSource.listing`."""
        try:
            found, unlisted = self._find()
            heads = self._heads(found)
        except OSError as error:
            raise UsageError(f"{self.place} cannot be listed: {one_line(error)}") from error
        photos: list[ListedPhoto] = []
        kinds: dict[str, list[str]] = {}
        outside: list[str] = []
        for path, info in sorted(found.items()):
            name, head = self._name(path), heads.get(path, b"")
            kind = kind_by_name(name)
            if kind == IMAGE and leads_out(name):
                outside.append(name)
                continue
            if _is_hidden(name):
                continue
            if isinstance(head, BaseException):
                unlisted.append((name, f"cannot be read: {one_line(head)}", 1))
                continue
            if kind is None:
                kind = kind_by_content(name, head)
            if kind == IMAGE:
                photos.append(ListedPhoto(name, int(info.get("size") or 0), _version(info)))
            elif kind:
                kinds.setdefault(kind, []).append(name)
        unlisted += [*unsupported_files(kinds), *_not_taken(outside, *_OUTSIDE)]
        return PhotoList(sorted(photos), unlisted)

    def _name(self, path: str) -> str:
        return path.removeprefix(self._path.rstrip("/") + "/")

    def _find(self) -> tuple[dict[str, Any], list[tuple[str, str, int]]]:
        """All files by their paths, and folders that cannot be listed, with the reason.

        Raises:
            OSError: the place as a whole cannot be listed.
        """
        if _finds_at_once(self._filesystem):
            return patiently(lambda: self._filesystem.find(self._path, detail=True)), []
        # Where a store has no search of its own, fsspec's leaves out what it may not list.
        found: dict[str, Any] = {}
        lacking: list[tuple[str, str, int]] = []
        folders = [self._path]
        while folders:
            folder = folders.pop()
            try:
                entries = patiently(partial(self._filesystem.ls, folder, detail=True))
            except (FileNotFoundError, PermissionError) as error:
                if folder == self._path:
                    raise
                reason = f"cannot be listed: {error.strerror or one_line(error)}"
                lacking.append((self._name(folder), reason, 1))
                continue
            for entry in entries:
                path = str(entry["name"]).rstrip("/")
                if entry["type"] != "directory":
                    found[path] = entry
                elif path != folder and not path.rpartition("/")[2].startswith("."):
                    folders.append(path)
        return found, sorted(lacking)

    def _heads(self, found: Mapping[str, Any]) -> dict[str, bytes | BaseException]:
        """The first bytes of files whose names do not tell what they are, or why there are none.

        Raises:
            OSError: the store does not answer.
        """
        unknown = [
            path
            for path, info in found.items()
            if kind_by_name(path) is None
            and not _is_hidden(self._name(path))
            and info.get("type", "file") == "file"
            and info.get("size")
        ]
        heads: dict[str, bytes | BaseException] = {}
        for start in range(0, len(unknown), _HEADS):
            some = unknown[start : start + _HEADS]
            read = partial(self._filesystem.cat_ranges, some, 0, IMAGE_HEAD_BYTES)
            heads.update(zip(some, patiently(read), strict=True))
        return heads

    def files(self, photos: Sequence[ListedPhoto]) -> list[ImageFiles]:
        """See :meth:`PhotoSource.files`."""
        return [_hold(self._filesystem, f"{self._path}/{photo.name}") for photo in photos]


class TarPhotos:
    """Photos in tar archives, each read from where it begins.

    Photos are named by their path in the archive, and where there are several archives, below
    the archive's name.

    Args:
        place: path or URL; ``{000..127}`` stands for all numbers from the first to the last.

    Raises:
        UsageError: fsspec, or what it needs for such URLs, is not installed.
    """

    def __init__(self, place: str) -> None:
        self.place = place if is_url(place) else str(Path(place).resolve())
        self._filesystem, path = open_filesystem(self.place)
        self._archives = {PurePosixPath(one).name: one for one in _expand(path)}
        self._changed: dict[tuple[str, str], set[tuple[str, int, int]]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return TarPhotos, (self.place,)

    def listing(self, earlier: Collection[str] = ()) -> PhotoList:
        """See :meth:`PhotoSource.listing`: the heads of all entries are read."""
        photos: list[ListedPhoto] = []
        kinds: dict[str, list[str]] = {}
        links: list[str] = []
        outside: list[str] = []
        for archive, path in self._archives.items():
            try:
                info = self._filesystem.info(path)
                if info.get("type") == "other":  # as fsspec calls what is neither file nor folder
                    raise FormatError(f"cannot read {path}: {NOT_A_FILE}")
                version = _version(info)
                for entry, head in patiently(partial(self._entries, path)):
                    name = self._name(archive, entry)
                    kind = kind_by_name(name)
                    if kind is None:
                        kind = kind_by_content(name, head)
                    if not entry.isfile():
                        if kind == IMAGE:
                            links.append(name)
                    elif kind != IMAGE:
                        if kind:
                            kinds.setdefault(kind, []).append(name)
                    elif leads_out(entry.name):
                        outside.append(entry.name)
                    else:
                        photos.append(
                            ListedPhoto(name, entry.size, version, archive, entry.offset_data)
                        )
            except FileNotFoundError:
                raise UsageError(f"{path} does not exist") from None
            except (tarfile.TarError, OSError) as error:
                raise FormatError(f"{path}: not a whole tar archive ({error})") from error
        # Of several entries of one name only the last counts, as where tar unpacks them.
        last = {photo.name: photo for photo in photos}
        replaced = [photo.name for photo in photos if last[photo.name] is not photo]
        unlisted = [
            *unsupported_files(kinds),
            *_not_taken(links, *_LINKS),
            *_not_taken(outside, *_OUTSIDE),
            *_not_taken(replaced, *_REPLACED),
        ]
        return PhotoList(sorted(last.values()), unlisted)

    def _entries(self, path: str) -> list[tuple[tarfile.TarInfo, bytes]]:
        """What is no folder, with its first bytes where its name does not tell what it is."""

        def head(entry: tarfile.TarInfo) -> bytes:
            if not entry.isfile() or kind_by_name(entry.name) is not None:
                return b""
            content = tar.extractfile(entry)
            return content.read(IMAGE_HEAD_BYTES) if content else b""

        with (
            self._filesystem.open(path, "rb") as file,
            tarfile.open(fileobj=file, mode="r:") as tar,
        ):
            return [(entry, head(entry)) for entry in tar if not entry.isdir()]

    def _name(self, archive: str, entry: tarfile.TarInfo) -> str:
        under = f"{archive.removesuffix(TAR)}/" if len(self._archives) > 1 else ""
        return under + entry.name.removeprefix("./")

    def _check_places(self, photos: Sequence[ListedPhoto]) -> None:
        """Refuse an archive in which photos lie elsewhere now; in a copy they lie where they did.

        Raises:
            UsageError: so it is.
            OutputError: a store does not answer.
        """
        for archive in {photo.file for photo in photos}:
            path = self._archives[archive]
            listed = [photo for photo in photos if photo.file == archive]
            try:
                version = _version(patiently(partial(self._filesystem.info, path)))
                if all(photo.version == version for photo in listed):
                    continue
                if (archive, version) not in self._changed:
                    self._changed[archive, version] = {
                        (self._name(archive, entry), entry.size, entry.offset_data)
                        for entry, _ in patiently(partial(self._entries, path))
                    }
            except (FileNotFoundError, PermissionError):  # whoever reads it will say so
                continue
            except OSError as error:
                raise OutputError(f"cannot read {path}: {one_line(error)}") from error
            places = self._changed[archive, version]
            for photo in listed:
                if (photo.name, photo.size, photo.offset) not in places:
                    raise UsageError(
                        f"{path} has changed since facetool embed listed its photos, and "
                        f"{photo.name} lies elsewhere in it; put it back as it was, or choose "
                        "another OUT"
                    )

    def files(self, photos: Sequence[ListedPhoto]) -> list[ImageFiles]:
        """See :meth:`PhotoSource.files`."""
        self._check_places(photos)
        return [
            _hold(
                self._filesystem,
                self._archives[photo.file],
                photo.offset,
                photo.offset + photo.size,
            )
            for photo in photos
        ]


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _finds_at_once(filesystem: Any) -> bool:
    """Whether a store has a search of its own, as object stores have: no folder fails alone."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    kind = type(filesystem)
    return (
        kind.find is not AbstractFileSystem.find
        or getattr(kind, "_find", AsyncFileSystem._find) is not AsyncFileSystem._find
    )


def _hold(filesystem: Any, path: str, *part: int) -> HeldPhoto:
    """Read a photo; that it is not there is its own failure, that a store is down is not."""
    try:
        return HeldPhoto(patiently(lambda: filesystem.cat_file(path, *part)))
    except (FileNotFoundError, PermissionError) as error:
        return HeldPhoto(b"", f"cannot be read: {' '.join(str(error).split())}")
    except OSError as error:
        raise OutputError(f"cannot read {path}: {one_line(error)}") from error


def _expand(path: str) -> list[str]:
    """Paths of numbered archives."""
    found = _RANGE.search(path)
    if found is None:
        return [path]
    first, last = found[1], found[2]
    return [
        f"{path[: found.start()]}{number:0{len(first)}}{path[found.end() :]}"
        for number in range(int(first), int(last) + 1)
    ]


_LINKS = ("link or device", "links and devices", "put the photos themselves into the archive")
_OUTSIDE = ("photo", "photos", "its name is absolute or has '..'; rename it")
_REPLACED = ("photo", "photos", "a later one in the archive has the same name")
"""What is not taken: one, several, and why or what to do."""


def _not_taken(
    names: Sequence[str], one: str, several: str, why: str
) -> Iterator[tuple[str, str, int]]:
    """How many of a kind are left out, as :func:`unsupported_files` says it; nothing of none."""
    if names:
        what = counted(len(names), one, several)
        yield what, f"not read ({one_of(names)}); {why}", len(names)


def _version(info: Mapping[str, Any]) -> str:
    """What changes with an object's content, as its store has it."""
    for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created"):
        if info.get(key):
            return str(info[key]).strip('"')
    return ""
