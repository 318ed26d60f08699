"""What ``align`` did not find, or had to choose, as a page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from facetool.detection.tracks import times_of
from facetool.errors import UsageError
from facetool.files.align_description import read_align_description
from facetool.files.align_manifest import ALIGN_CSV, CHOICES, AlignRow, read_manifest
from facetool.files.text import counted
from facetool.images.aligned_photos import AlignedPhotos
from facetool.images.annotate import Label, annotate
from facetool.images.read import RGBImage, read_image
from facetool.pipeline.align import remarks_on
from facetool.reports.page import Card, Page, shrink, write_page

_EDGE = 160

_SECTIONS = {
    "failed": ("Failed", "Photos that could not be used."),
    "no-face": ("No face found", "Photos in which the detector found nothing."),
    "center": ("Centre instead of a face", "Cut around the centre, because no face was found."),
    "fallback": ("Fallback images", "Another folder's image stands in for the photo."),
}

_REMARKED = "With a remark"

_CHOSEN = tuple(f"{rule} " for rule in CHOICES.values())
"""How the reason begins where one of several faces was taken."""


def align_report(crops: Path, path: Path) -> None:
    """Write a page of the photos of an aligned folder that need a look.

    Photos that failed, those without a face, those with several faces, and those that are
    truncated, animated or too large to be searched as they are, each with its reason; and the
    faces of videos.

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
    remarked: list[list[AlignRow]] = []
    for of_photo in still:
        if len(of_photo) == 1 and of_photo[0].status == "aligned" and of_photo[0].reason:
            (several if of_photo[0].reason.startswith(_CHOSEN) else remarked).append(of_photo)
    remarks = Counter(kind for of_photo in by_photo.values() for kind, _ in remarks_on(of_photo))
    more = {"Several faces": several, _REMARKED: remarked, "Videos": tracks}
    titles = [title for status, (title, _) in _SECTIONS.items() if by_status[status]]
    titles += [title for title, found in more.items() if found]
    with write_page(path, f"align: {crops.name}", counted(len(by_photo), "photo")) as page:
        page.table(
            [
                *(
                    (status, f"{len(found):,}")
                    for status, found in sorted(by_status.items())
                    if found
                ),
                *((kind, f"{number:,}") for kind, number in remarks.items()),
            ]
        )
        page.contents(titles)
        for status, (title, note) in _SECTIONS.items():
            _missed(page, title, note, by_status[status], photos)
        if several:
            page.section("Several faces", "The boxes are those of the faces that were cut out.")
            page.cards(_found(photos, several))
        if remarked:
            page.section(_REMARKED, "A face was cut out of each of them all the same.")
            page.cards(_found(photos, remarked))
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


def _found(photos: AlignedPhotos, rows: Sequence[Sequence[AlignRow]]) -> Iterator[Card]:
    for of_photo in rows:
        yield Card(
            image=partial(_boxed, photos, of_photo),
            title=of_photo[0].input,
            lines=_reasons(of_photo),
            edge=_EDGE,
        )


def _reasons(rows: Iterable[AlignRow]) -> list[str]:
    rows = list(rows)
    reasons = list(dict.fromkeys(row.reason for row in rows if row.reason))
    return reasons or [counted(len(rows), "face")]


def _boxed(photos: AlignedPhotos, rows: Sequence[AlignRow]) -> RGBImage:
    """The photo, small, with the boxes of its faces."""
    image, scale = shrink(photos.read(rows[0].input), _EDGE)
    labels = []
    for row in rows:
        if row.edges and not row.turn.strip("0"):
            labels.append(Label(tuple(edge * scale for edge in row.edges), ""))
    return annotate(image, labels)
