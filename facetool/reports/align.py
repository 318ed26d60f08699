"""What ``align`` did not find, or had to choose, as a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from facetool.detection.tracks import times_of
from facetool.errors import UsageError
from facetool.files.align_description import read_align_description
from facetool.files.align_manifest import ALIGN_CSV, AlignRow, read_manifest
from facetool.images.aligned_photos import AlignedPhotos
from facetool.images.annotate import Label, annotate
from facetool.images.read import RGBImage, read_image
from facetool.reports.page import Card, Page, shrink, write_page

_EDGE = 160

_SECTIONS = {
    "failed": ("Failed", "Photos that could not be used."),
    "no-face": ("No face found", "Photos in which the detector found nothing."),
    "center": ("Centre instead of a face", "Cut around the centre, because no face was found."),
    "fallback": ("Fallback images", "Another folder's image stands in for the photo."),
}


def align_report(crops: Path, path: Path) -> None:
    """Write a page of the photos of an aligned folder that need a look.

    Photos that failed, those without a face, and those with several faces, each with its reason;
    and the faces of videos.

    Args:
        crops: a folder that ``align`` has filled.
        path: the HTML file.

    Raises:
        UsageError: ``crops`` is no such folder.
        FormatError: its manifest is damaged.
        OutputError: the page cannot be written.
    """
    description = read_align_description(crops)
    if description is None:
        raise UsageError(f"{crops}: not a folder of crops that facetool align has finished")
    rows = read_manifest(crops / ALIGN_CSV)
    photos = AlignedPhotos(description.inputs or {})
    by_status: dict[str, list[AlignRow]] = defaultdict(list)
    by_photo: dict[str, list[AlignRow]] = defaultdict(list)
    for row in rows:
        by_status[row.status].append(row)
        by_photo[row.input].append(row)
    tracks = [row for row in by_status["aligned"] if row.time]
    still = [of_photo for of_photo in by_photo.values() if not of_photo[0].time]
    several = [of_photo for of_photo in still if len(of_photo) > 1]
    several += [
        of_photo
        for of_photo in still
        if len(of_photo) == 1 and of_photo[0].status == "aligned" and of_photo[0].reason
    ]
    titles = [title for status, (title, _) in _SECTIONS.items() if by_status[status]]
    with write_page(path, f"align: {crops.name}", f"{len(by_photo):,} photos") as page:
        page.table(
            (status, f"{len(found):,}") for status, found in sorted(by_status.items()) if found
        )
        more = {"Several faces": several, "Videos": tracks}
        page.contents([*titles, *(title for title, found in more.items() if found)])
        for status, (title, note) in _SECTIONS.items():
            _missed(page, title, note, by_status[status], photos)
        if several:
            page.section("Several faces", "The boxes are those of the faces that were cut out.")
            page.cards(
                Card(
                    image=partial(_boxed, photos, of_photo),
                    title=of_photo[0].input,
                    lines=_reasons(of_photo),
                    edge=_EDGE,
                )
                for of_photo in several
            )
        if tracks:
            page.section("Videos", "Each face once, where its score is highest.")
            page.cards(
                Card(
                    image=partial(read_image, crops / row.output),
                    title=row.input,
                    lines=[str(times_of(row))],
                )
                for row in tracks
            )


def _missed(
    page: Page, title: str, note: str, rows: Sequence[AlignRow], photos: AlignedPhotos
) -> None:
    if rows:
        page.section(title, note)
        page.cards(
            Card(
                image=partial(photos.read, row.input),
                title=row.input,
                lines=[row.reason] * bool(row.reason),
                mood="bad",
                edge=_EDGE,
            )
            for row in rows
        )


def _reasons(rows: Iterable[AlignRow]) -> list[str]:
    rows = list(rows)
    reasons = list(dict.fromkeys(row.reason for row in rows if row.reason))
    return reasons or [f"{len(rows)} faces"]


def _boxed(photos: AlignedPhotos, rows: Sequence[AlignRow]) -> RGBImage:
    """The photo, small, with the boxes of its faces."""
    image, scale = shrink(photos.read(rows[0].input), _EDGE)
    labels = []
    for row in rows:
        if row.edges and not row.turn.strip("0"):
            labels.append(Label(tuple(edge * scale for edge in row.edges), ""))
    return annotate(image, labels)
