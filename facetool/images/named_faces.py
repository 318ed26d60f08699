"""Who is where in a photo, as photo managers have noted it, and noting it for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from facetool.errors import FormatError
from facetool.files.xmp import (
    FaceRegion,
    find_sidecar,
    parse_regions,
    read_regions,
    sidecar_of,
    sidecars,
    with_regions,
    write_over,
    write_regions,
)
from facetool.files.xmp_inside import put_packet, read_packet
from facetool.images.read import StoredImage, read_file, read_stored

_OURS = "facetool:"
"""How the description of a region begins that facetool wrote."""


class BoxedName(NamedTuple):
    """A face of a photo.

    Attributes:
        name: of the person.
        box: left, top, right, bottom; pixels of the upright photo.
        note: what to say of it.
    """

    name: str
    box: tuple[float, float, float, float]
    note: str = ""

    @property
    def guessed(self) -> bool:
        """Whether facetool wrote it, and no person."""
        return self.note.startswith(_OURS)


def read_names(photo: Path) -> list[BoxedName]:
    """The faces that have a name in a photo's sidecars, or else in the XMP inside the photo.

    Of these places the first counts where a person has named a face, or else the first with names.

    Raises:
        ImageError: the photo cannot be read.
        FormatError: the XMP is damaged.
    """
    stored = read_stored(photo)
    found: list[BoxedName] = []
    for _, regions in _places(photo, stored.xmp):
        names = [_upright(region, stored) for region in regions]
        if any(not name.guessed for name in names):
            return names
        found = found or names
    return found


def write_names(photo: Path, faces: Sequence[BoxedName]) -> None:
    """Note faces in a photo's sidecar, which is made where none is; the photo stays as it is.

    A sidecar with the same faces is not written, and none is made for no faces.

    Raises:
        ImageError: the photo cannot be read.
        FormatError: a sidecar or the XMP inside is damaged, or has faces that another program or a
            person named.
        OutputError: the sidecar cannot be written.
    """
    stored = read_stored(photo)
    places = dict(_places(photo, stored.xmp))
    _refuse_others(places)
    path = find_sidecar(photo) or sidecar_of(photo)
    regions = [_as_stored(face, stored) for face in faces]
    if places.get(path, []) == regions:
        return
    write_regions(path, regions, stored.width, stored.height)


def write_names_inside(photo: Path, faces: Sequence[BoxedName]) -> None:
    """Note faces in the XMP inside a photo, JPEG or PNG; all its other bytes stay as they are.

    A photo with the same faces, or none, in its XMP is not written.

    Raises:
        ImageError: the photo cannot be read.
        FormatError: it is of another format or damaged, or it or a sidecar has faces that another
            program or a person named; it stays as it is.
        OutputError: the photo cannot be written.
    """
    given, photo = photo, photo.resolve()  # not the link to it
    stored = read_stored(photo)
    if not (faces or stored.xmp):
        return
    data = read_file(photo)
    try:
        packet = read_packet(data)
        text = packet.decode("utf-8", "replace")
        places = dict([*_places(given, ""), *_places(photo, text)])
        _refuse_others(places)
        regions = [_as_stored(face, stored) for face in faces]
        if places.get(photo, []) == regions:
            return
        size = stored.width, stored.height
        written = put_packet(data, with_regions(_decoded(packet), regions, *size, str(photo)))
    except FormatError as error:
        raise FormatError(f"{error}; the photo stays as it is") from None
    write_over(photo, written)


def _decoded(packet: bytes) -> str:
    try:
        return packet.decode()
    except UnicodeDecodeError:
        raise FormatError("its XMP is not in UTF-8") from None


def _places(photo: Path, inside: str) -> Iterator[tuple[Path, list[FaceRegion]]]:
    """Where the names of a photo may be, and which: its sidecars, and itself with XMP inside."""
    for sidecar in sidecars(photo):
        yield sidecar, read_regions(sidecar)
    if inside:
        yield photo, parse_regions(inside, str(photo))


def _refuse_others(places: Mapping[Path, Sequence[FaceRegion]]) -> None:
    for path, regions in places.items():
        for region in regions:
            if not region.description.startswith(_OURS):
                raise FormatError(
                    f"{path} has faces that were named elsewhere ({region.name}); it stays as it is"
                )


def _upright(region: FaceRegion, stored: StoredImage) -> BoxedName:
    turned = stored.orientation > 4
    x, y = _turned(region.x, region.y, stored.orientation)
    half_width, half_height = region.width / 2, region.height / 2
    if turned:
        half_width, half_height = half_height, half_width
    width, height = (stored.width, stored.height)[:: -1 if turned else 1]
    box = (
        (x - half_width) * width,
        (y - half_height) * height,
        (x + half_width) * width,
        (y + half_height) * height,
    )
    return BoxedName(region.name, box, region.description)


def _as_stored(face: BoxedName, stored: StoredImage) -> FaceRegion:
    turned = stored.orientation > 4
    width, height = (stored.width, stored.height)[:: -1 if turned else 1]
    left, top, right, bottom = face.box
    # All orientations but the quarter turns are their own inverse.
    inverse = {6: 8, 8: 6}.get(stored.orientation, stored.orientation)
    center = _turned((left + right) / 2 / width, (top + bottom) / 2 / height, inverse)
    size = (right - left) / width, (bottom - top) / height
    area = (*center, *(size[::-1] if turned else size))
    x, y, w, h = (round(one, 6) for one in area)  # as they are written
    return FaceRegion(face.name, x, y, w, h, f"{_OURS} {face.note}")


def _turned(x: float, y: float, orientation: int) -> tuple[float, float]:
    """Where a point of an image, 0…1, lies when the image is turned as EXIF says."""
    return {
        1: (x, y),
        2: (1 - x, y),
        3: (1 - x, 1 - y),
        4: (x, 1 - y),
        5: (y, x),
        6: (1 - y, x),
        7: (1 - y, 1 - x),
        8: (y, 1 - x),
    }[orientation]
