"""The faces that a search found, the nearest first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from facetool.detection.face_images import read_face
from facetool.embedding.represented_crops import Crops
from facetool.files.embeddings import describe_embeddings
from facetool.files.text import counted
from facetool.images.read import RGBImage, read_photo
from facetool.pipeline.search import Match, SearchResult
from facetool.reports.page import Card, write_page

_MOODS = {True: "good", False: "bad", None: ""}


def search_report(result: SearchResult, path: Path) -> None:
    """Write a page of the photos that were searched for and the faces that were found.

    Args:
        result: of :func:`facetool.pipeline.search.search`; photos and crops are read again.
        path: the HTML file.

    Raises:
        FormatError: the description of a represent folder is damaged.
        OutputError: the page cannot be written.
    """
    crops = {
        reps: Crops(describe_embeddings(reps))
        for reps in dict.fromkeys(match.reps for match in result.matches)
    }

    def reader(match: Match) -> Callable[[], RGBImage]:
        if isinstance(match.photo, Path) and match.box is not None and match.times is None:
            return partial(read_face, match.photo, match.box)
        return crops[match.reps].reader(match.image)

    note = f"the nearest of {counted(result.faces, 'face')}"
    if result.threshold is not None:
        note += f"; green: squared L2 below {result.threshold.squared_l2:g}"
    folder = _folder_of(result.matches)
    with write_page(path, "search", note) as page:
        page.section("Searched for")
        page.cards(
            Card(image=partial(_photo, Path(probe)), title=probe, edge=160)
            for probe in result.probes
        )
        page.section("Found", f"Photos in {folder}" if folder else "")
        page.cards(
            Card(
                image=reader(match),
                title=_title(match, folder),
                lines=[
                    f"squared L2 {match.squared_l2:.4f}",
                    f"cosine {match.similarity:+.4f}",
                    *[str(match.times)] * bool(match.times),
                ],
                mood=_MOODS[match.same],
            )
            for match in result.matches
        )


def _folder_of(matches: Sequence[Match]) -> Path | None:
    """The deepest folder that holds all photos; None where it holds nothing or not all have one."""
    folders = [match.photo.parent for match in matches if isinstance(match.photo, Path)]
    if not folders or len(folders) < len(matches):
        return None
    return Path(os.path.commonpath(folders))


def _title(match: Match, folder: Path | None) -> str:
    if folder is not None and isinstance(match.photo, Path):
        return match.photo.relative_to(folder).as_posix()
    return match.image if match.photo is None else str(match.photo)


def _photo(path: Path) -> RGBImage:
    return read_photo(path).pixels
