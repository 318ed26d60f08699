"""A place for results: a folder, or a prefix of an object store behind fsspec."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from facetool.errors import OutputError, UsageError, one_line
from facetool.files.atomic import atomic_write, output_errors, part_path
from facetool.files.durable import sync_file

_Result = TypeVar("_Result")

_ATTEMPTS = 6
_FIRST_PAUSE = 0.2
"""Seconds before the second attempt at a store that fails; each later pause is twice as long."""

_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)

_FINAL = (*_NOT_THERE, PermissionError, FileExistsError)
"""What another attempt cannot mend."""


class Storage(Protocol):
    """Files by name below one place, each there whole or not at all. Safe in threads, picklable."""

    @property
    def place(self) -> str:
        """The folder or URL."""

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: there is none of that name.
            OutputError: the place does not answer.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write a file, in the place of one that is there.

        Raises:
            OutputError: it cannot be written.
        """

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless one of that name is there; of several writers one is first.

        Returns:
            Whether this one was.

        Raises:
            OutputError: it cannot be written.
        """

    def names(self, folder: str) -> set[str]:
        """Names of the files in a folder, without it; empty where it is not there.

        Raises:
            OutputError: the place does not answer.
        """

    def join(self, name: str) -> str:
        """The path or URL of a name, for messages."""


def is_url(place: str) -> bool:
    """Whether a place is meant for fsspec: ``s3://…``, ``gs://…``, ``file://…``."""
    return "://" in place


def open_storage(place: str) -> Storage:
    """The storage at a path or URL.

    Raises:
        UsageError: fsspec, or what it needs for such URLs, is not installed.
    """
    if place.startswith("file://"):
        place = place.removeprefix("file://")
    return UrlStorage(place) if is_url(place) else FolderStorage(Path(place))


def open_filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it.

    Raises:
        UsageError: fsspec, or what it needs for such URLs, is not installed.
    """
    try:
        from fsspec.core import url_to_fs

        filesystem, path = url_to_fs(url)
    except ImportError as error:
        raise UsageError(
            f"{url} needs more than the base install: pip install 'facetool[cloud]' ({error})"
        ) from None
    except ValueError as error:
        raise UsageError(f"{url}: {one_line(error)}") from None
    return filesystem, str(path)


def patiently(work: Callable[[], _Result]) -> _Result:
    """What ``work`` gives, tried again where a store fails for a moment.

    Raises:
        OSError: it is not there, may not be had, or still failed in the last attempt.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return work()
        except _FINAL:
            raise
        except Exception as error:
            if attempt == _ATTEMPTS - 1:
                raise OSError(one_line(error)) from error
            time.sleep(_FIRST_PAUSE * 2**attempt)
    raise AssertionError


class FolderStorage:
    """A folder of this machine, or one that several machines mount.

    Args:
        folder: made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    def read(self, name: str) -> bytes:
        """See :meth:`Storage.read`."""
        with _answers(self.join(name)):
            return (self._folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """See :meth:`Storage.write`."""
        with atomic_write(self._folder / name) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """See :meth:`Storage.create`: a link takes a name only where nobody has it."""
        path = self._folder / name
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _unnamed_file(path, data) as link:
                try:
                    link(path)
                except FileExistsError:
                    return False
                except OSError:  # a mount without links, or no /proc
                    return _create_alone(path, data)
        return True

    def names(self, folder: str) -> set[str]:
        """See :meth:`Storage.names`."""
        with _answers(self.join(folder)):
            try:
                return {entry.name for entry in os.scandir(self._folder / folder)}
            except _NOT_THERE:
                return set()

    def join(self, name: str) -> str:
        """See :meth:`Storage.join`."""
        return str(self._folder / name)


class UrlStorage:
    """A prefix of whatever fsspec knows; an object is written by one request.

    Args:
        url: such as ``s3://bucket/faces``.

    Raises:
        UsageError: fsspec, or what it needs for such URLs, is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._filesystem, self._path = open_filesystem(self._url)

    def __reduce__(self) -> tuple[Any, ...]:
        return UrlStorage, (self._url,)

    @property
    def place(self) -> str:
        """The URL."""
        return self._url

    def read(self, name: str) -> bytes:
        """See :meth:`Storage.read`."""
        with _answers(self.join(name)):
            data: bytes = patiently(lambda: self._filesystem.cat_file(f"{self._path}/{name}"))
        return data

    def write(self, name: str, data: bytes) -> None:
        """See :meth:`Storage.write`."""
        with output_errors(Path(self.join(name))):
            patiently(lambda: self._filesystem.pipe_file(f"{self._path}/{name}", data))

    def create(self, name: str, data: bytes) -> bool:
        """See :meth:`Storage.create`: the store itself refuses a second one, where it can."""
        path = f"{self._path}/{name}"

        def create() -> bool:
            try:
                self._filesystem.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
            return True

        with output_errors(Path(self.join(name))):
            if self._exists(path):
                return False
            return patiently(create)

    def _exists(self, path: str) -> bool:
        try:
            patiently(lambda: self._filesystem.invalidate_cache() or self._filesystem.info(path))
        except _NOT_THERE:
            return False
        return True

    def names(self, folder: str) -> set[str]:
        """See :meth:`Storage.names`."""
        path = f"{self._path}/{folder}".rstrip("/")

        def names() -> set[str]:
            self._filesystem.invalidate_cache()
            return {str(found).rpartition("/")[2] for found in self._filesystem.ls(path, False)}

        with _answers(self.join(folder)):
            try:
                return patiently(names)
            except _NOT_THERE:
                return set()

    def join(self, name: str) -> str:
        """See :meth:`Storage.join`."""
        return f"{self._url}/{name}"


@contextmanager
def _answers(place: str) -> Iterator[None]:
    """Turn errors of a place that does not answer into one line."""
    try:
        yield
    except _NOT_THERE:
        raise
    except OSError as error:
        raise OutputError(f"cannot read {place}: {error.strerror or error}") from error


@contextmanager
def _unnamed_file(path: Path, data: bytes) -> Iterator[Callable[[Path], None]]:
    """A file beside ``path`` that a link may give a name to; gives what makes that link.

    It has no name of its own, which a killed run would leave behind, where the system has such
    files: on Linux, but not on network mounts.
    """
    descriptor = None
    with suppress(AttributeError, OSError):
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    if descriptor is None:
        part = part_path(path).with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.part")
        try:
            part.write_bytes(data)
            sync_file(part)
            yield partial(os.link, part)
        finally:
            part.unlink(missing_ok=True)
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
        # Only linkat(2), which is called where a folder is given, follows the link in /proc.
        yield partial(os.link, f"/proc/self/fd/{descriptor}", src_dir_fd=descriptor)


def _create_alone(path: Path, data: bytes) -> bool:
    """Create a file where nothing can be linked; a reader may see the beginning of it alone."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True
