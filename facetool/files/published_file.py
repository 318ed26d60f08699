"""A file that somebody published, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One published weights file.

    Attributes:
        name: as users ask for it.
        file: path in the weights folder, or inside ``package``.
        page: where it is published or described.
        licence: of the weights, as their publisher states it.
        urls: direct downloads, tried in this order; none: it is downloaded by hand from ``page``.
        archive: name of a zip file that holds ``file`` and is published as well, or instead.
        archive_sha256: of that zip file.
        archive_urls: its direct downloads; none: it is downloaded by hand from ``page``.
        beside: other files of the zip file that ``file`` needs, paths in the weights folder.
        package: Python package it is part of, where it comes with the install.
        size: bytes, where published.
        md5: where published.
        sha256: where published.
        notes: what a user should know.
    """

    name: str
    file: str
    page: str
    licence: str
    urls: tuple[str, ...] = ()
    archive: str = ""
    archive_sha256: str = ""
    archive_urls: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    package: str = ""
    size: int | None = None
    md5: str = ""
    sha256: str = ""
    notes: str = ""
