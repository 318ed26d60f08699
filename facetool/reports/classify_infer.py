"""The faces of photos under the names they were given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from facetool.classification.classifier import UNKNOWN
from facetool.detection.face_images import read_face
from facetool.files.text import counted
from facetool.images.read import RGBImage, read_photo
from facetool.pipeline.classify_infer import NamedFace, NamedPhoto
from facetool.reports.page import Card, write_page


def classify_infer_report(photos: Sequence[NamedPhoto], path: Path) -> None:
    """Write a page of the faces by name, the least certain first, ``unknown`` last.

    Args:
        photos: what :func:`facetool.pipeline.classify_infer.name_people` returned; they are read
            again, but for videos, whose crops were kept.
        path: the HTML file.

    Raises:
        OutputError: the page cannot be written.
    """
    faces: dict[str, list[tuple[NamedPhoto, NamedFace]]] = defaultdict(list)
    for photo in photos:
        for face in photo.faces:
            faces[face.name].append((photo, face))
    names = sorted(faces, key=lambda name: (name == UNKNOWN, name))
    failed = [photo for photo in photos if photo.error]
    note = f"{counted(sum(map(len, faces.values())), 'face')} in {counted(len(photos), 'photo')}"
    with write_page(path, "classify infer", note) as page:
        page.contents([*names, *(["No name"] if failed else [])])
        for name in names:
            found = sorted(faces[name], key=lambda one: one[1].confidence)
            page.section(name, counted(len(found), "face"))
            page.cards(
                Card(
                    image=partial(_face, photo, face),
                    title=Path(photo.image).name,
                    lines=[
                        f"confidence {face.confidence:.3f}",
                        *[str(face.times)] * bool(face.times),
                    ],
                )
                for photo, face in found
            )
        if failed:
            page.section("No name", "Photos that could not be used.")
            page.cards(
                Card(
                    image=partial(_photo, photo.image),
                    title=photo.image,
                    lines=[photo.error],
                    mood="bad",
                    edge=160,
                )
                for photo in failed
            )


def _face(photo: NamedPhoto, face: NamedFace) -> RGBImage:
    return read_face(Path(photo.image), face.box) if face.crop is None else face.crop


def _photo(image: str) -> RGBImage:
    return read_photo(Path(image)).pixels
