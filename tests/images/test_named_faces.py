"""Names of faces in photos of every orientation."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from facetool.errors import FormatError, ImageError, OutputError
from facetool.files.xmp import FaceRegion, read_regions, sidecar_of, write_regions
from facetool.files.xmp_inside import put_packet, read_packet
from facetool.images.named_faces import BoxedName, read_names, write_names, write_names_inside
from facetool.images.read import read_image
from tests.files.xmp_styles import ELSEWHERE

RATING = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>"""

FACE = BoxedName("Ann", (20.0, 30.0, 50.0, 70.0), "confidence 0.9")


def photo(folder: Path, orientation: int) -> Path:
    """Upright 100 wide and 200 high, the face a white box, stored turned."""
    upright = np.zeros((200, 100, 3), np.uint8)
    left, top, right, bottom = map(int, FACE.box)
    upright[top:bottom, left:right] = 255
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.fromarray(upright)
    image = image if undo is None else image.transpose(undo)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = folder / f"{orientation}.png"
    image.save(path, exif=exif)
    assert np.array_equal(read_image(path), upright)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_are_those_of_the_stored_image(orientation: int, tmp_path: Path) -> None:
    path = photo(tmp_path, orientation)
    write_names(path, [FACE])
    (region,) = read_regions(sidecar_of(path))
    with Image.open(path) as stored:
        white = np.argwhere(np.asarray(stored.convert("L")) > 128)
    height, width = (200, 100) if orientation < 5 else (100, 200)
    y, x = (white.min(axis=0) + white.max(axis=0) + 1) / 2 / (height, width)
    assert (region.x, region.y) == pytest.approx((x, y))
    (back,) = read_names(path)
    assert back.box == pytest.approx(FACE.box, abs=1e-3)
    assert back.name == "Ann"


def test_names_given_elsewhere_are_not_overwritten(tmp_path: Path) -> None:
    path = photo(tmp_path, 1)
    write_regions(sidecar_of(path), [FaceRegion("Mary", 0.5, 0.5, 0.2, 0.2)], 100, 200)
    before = sidecar_of(path).read_bytes()
    with pytest.raises(FormatError, match=r"named elsewhere \(Mary\)"):
        write_names(path, [FACE])
    assert sidecar_of(path).read_bytes() == before
    sidecar_of(path).unlink()
    write_names(path, [FACE])
    write_names(path, [FACE._replace(name="Bea")])  # what facetool wrote may change
    assert [face.name for face in read_names(path)] == ["Bea"]


def test_names_inside_a_photo_are_read(tmp_path: Path) -> None:
    path = tmp_path / "inside.jpg"
    write_regions(tmp_path / "x.xmp", [FaceRegion("Ann", 0.5, 0.5, 0.2, 0.2)], 100, 200)
    xmp = (tmp_path / "x.xmp").read_bytes()
    Image.new("RGB", (100, 200)).save(path, xmp=xmp)
    before = path.read_bytes()
    assert [face.name for face in read_names(path)] == ["Ann"]
    assert path.read_bytes() == before


def save(path: Path, **options: Any) -> bytes:
    """A photo of noise; its bytes."""
    pixels = np.random.default_rng(0).integers(0, 255, (200, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("earlier", [False, True])
def test_names_go_into_a_photo_whose_other_bytes_stay(name: str, earlier: bool, tmp_path: Path):
    path = tmp_path / name
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Camera"
    plain = save(path, exif=exif)
    rest = put_packet(plain, b"")
    if earlier:
        path.write_bytes(put_packet(plain, RATING.encode()))
    path.chmod(0o640)
    write_names_inside(path, [FACE])
    (back,) = read_names(path)
    assert back.name == "Ann" and back.box == pytest.approx(FACE.box, abs=1e-3)
    written = path.read_bytes()
    assert put_packet(written, b"") == rest  # all but the XMP
    assert (b'xmp:Rating="4"' in written) == earlier
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    write_names_inside(path, [FACE._replace(name="Bea")])  # what facetool wrote may change
    assert [face.name for face in read_names(path)] == ["Bea"]
    assert put_packet(path.read_bytes(), b"") == rest
    write_names_inside(path, [])
    assert read_names(path) == [] and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not shutil.which("exiftool"), reason="no exiftool")
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_exiftool_reads_what_was_written_inside(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    plain = save(path, exif=exif)

    def exiftool(*arguments: str) -> bytes:
        return subprocess.run(
            ["exiftool", *arguments, path], capture_output=True, check=True
        ).stdout

    warnings = exiftool("-validate", "-warning", "-a")
    write_names_inside(path, [FACE])
    assert exiftool("-validate", "-warning", "-a") == warnings
    (tags,) = json.loads(exiftool("-json", "-struct", "-RegionInfo", "-Make"))
    assert [one["Name"] for one in tags["RegionInfo"]["RegionList"]] == ["Ann"]
    assert tags["Make"] == "Camera"
    assert exiftool("-xmp:all=", "-o", "-") == plain


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO")
def test_photos_that_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    plain = save(path)
    write_names_inside(path, [])  # there is nothing to say
    assert path.read_bytes() == plain
    several = plain[:20] + b"\xff\xe2\0\x0aMPF\0MM\0*" + plain[20:]
    named = put_packet(plain, RATING.replace("Rating", "Label").encode())
    at = named.index(b"\xff\xe1")
    for data, message in [
        (named.replace(b"<x:x", b"<y:x"), "no XMP"),
        (named[: at + 40], "Truncated"),
        (put_packet(plain, RATING.replace("4", "4" * 65000).encode()), "longer than a JPEG"),
        (several[:32] + named[20:], "several images"),
    ]:
        path.write_bytes(data)
        with pytest.raises((FormatError, ImageError), match=message):
            write_names_inside(path, [FACE])
        assert path.read_bytes() == data and list(tmp_path.iterdir()) == [path]
    path.write_bytes(several)
    write_names_inside(path, [FACE])
    assert [face.name for face in read_names(path)] == ["Ann"]
    save(tmp_path / "a.webp")
    with pytest.raises(FormatError, match="JPEG and PNG files only"):
        write_names_inside(tmp_path / "a.webp", [FACE])
    write_names_inside(tmp_path / "a.webp", [])  # there is nothing to write


def test_regions_inside_a_photo_that_others_named_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_regions(tmp_path / "x.xmp", [FaceRegion("Mary", 0.5, 0.5, 0.2, 0.2)], 100, 200)
    path.write_bytes(put_packet(save(path), (tmp_path / "x.xmp").read_bytes()))
    before = path.read_bytes()
    with pytest.raises(FormatError, match=r"named elsewhere \(Mary\)"):
        write_names_inside(path, [FACE])
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ELSEWHERE)
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_regions_that_are_no_named_faces_stay(text: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(put_packet(save(path), text.encode()))
    sidecar_of(path).write_text(text, "utf-8")
    for write, xmp in [
        (write_names, lambda: sidecar_of(path).read_bytes()),
        (write_names_inside, lambda: read_packet(path.read_bytes())),
    ]:
        write(path, [FACE])
        assert b'"Ann"' in xmp()
        write(path, [])
        assert xmp() == text.encode()


def test_xmp_that_is_no_utf_8_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(put_packet(save(path), RATING.replace("4", "\xe9").encode("latin-1")))
    before = path.read_bytes()
    with pytest.raises(FormatError, match="its XMP is not in UTF-8; the photo stays as it is"):
        write_names_inside(path, [FACE])
    write_names_inside(path, [])  # there is nothing to write
    assert path.read_bytes() == before


@pytest.mark.parametrize("write", [write_names, write_names_inside])
@pytest.mark.parametrize("faces", [[], [FACE], [FACE._replace(box=(1 / 3, 2 / 3, 49.9, 60))] * 2])
def test_what_does_not_change_is_not_written(
    write: Callable[[Path, Sequence[BoxedName]], None], faces: list[BoxedName], tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(put_packet(save(path), RATING.encode()))
    for _ in range(3):
        write(path, faces)
        states = {each: (each.read_bytes(), each.stat().st_ino) for each in tmp_path.iterdir()}
        write(path, faces)
        again = {each: (each.read_bytes(), each.stat().st_ino) for each in tmp_path.iterdir()}
        assert again == states
        xmp = b"".join(data for data, _ in states.values())
        assert xmp.count(b"<rdf:Description rdf:about") == 1 + bool(faces)
    assert len(states) == 1 + (write is write_names and bool(faces))
    other = [face._replace(name="Bea") for face in faces]
    write(path, other)
    write(path, faces)
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == {
        each: data for each, (data, _) in states.items()
    }


def test_what_another_program_has_written_anew_without_a_change_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save(path)
    write_names(path, [FACE])
    other = sidecar_of(path).read_text().replace("\n", " ").replace("000", "")
    sidecar_of(path).write_text(other)
    write_names(path, [FACE])
    assert sidecar_of(path).read_text() == other


def put_names(photo: Path, place: str, *names: str) -> None:
    """Faces named by a person, or by facetool where a name begins with a mark of interrogation."""
    regions = [
        FaceRegion(name.strip("?"), 0.5, 0.5, 0.2, 0.2, "facetool: " * name.startswith("?"))
        for name in names
    ]
    path = photo.with_name(place)
    write_regions(path, regions, 100, 200)
    if place == "inside":
        photo.write_bytes(put_packet(photo.read_bytes(), path.read_bytes()))
        path.unlink()


PLACES = ["a.jpg.xmp", "a.xmp", "inside"]


@pytest.mark.parametrize("write", [write_names, write_names_inside])
@pytest.mark.parametrize("place", PLACES)
def test_names_given_in_any_place_are_not_hidden(
    write: Callable[[Path, Sequence[BoxedName]], None], place: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    save(path)
    for other in PLACES:
        put_names(path, other, *(["Mary", "?Ann"] if other == place else ["?Ann"]))
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    for faces in ([FACE], []):
        with pytest.raises(FormatError, match=r"named elsewhere \(Mary\)"):
            write(path, faces)
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before
    assert [face.name for face in read_names(path) if not face.guessed] == ["Mary"]


@pytest.mark.parametrize("text", ELSEWHERE)
def test_the_sidecar_that_is_there_is_written(text: str, tmp_path: Path) -> None:
    path, there = tmp_path / "a.jpg", tmp_path / "a.xmp"
    save(path)
    there.write_text(text, "utf-8")
    write_names(path, [FACE])
    assert set(tmp_path.iterdir()) == {path, there}
    assert [(face.name, face.guessed) for face in read_names(path)] == [("Ann", True)]
    write_names(path, [])
    assert there.read_text("utf-8") == text


def test_a_sidecar_without_faces_hides_none_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    save(path)
    put_names(path, "inside", "Mary")
    sidecar_of(path).write_text(RATING)
    assert [face.name for face in read_names(path)] == ["Mary"]


def test_a_description_that_only_begins_like_a_mark_is_a_persons(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    save(path)
    region = FaceRegion("Mary", 0.5, 0.5, 0.2, 0.2, "facetool found her")
    write_regions(sidecar_of(path), [region], 100, 200)
    with pytest.raises(FormatError, match="named elsewhere"):
        write_names(path, [FACE])


def test_names_inside_the_target_of_a_link_respect_sidecars_of_both(tmp_path: Path) -> None:
    path, link = tmp_path / "a.jpg", tmp_path / "b" / "b.jpg"
    save(path)
    link.parent.mkdir()
    link.symlink_to(path)
    for photo in (path, link):
        write_regions(sidecar_of(photo), [FaceRegion("Mary", 0.5, 0.5, 0.2, 0.2)], 100, 200)
        with pytest.raises(FormatError, match="named elsewhere"):
            write_names_inside(link, [FACE])
        sidecar_of(photo).unlink()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("write", [write_names, write_names_inside])
def test_files_keep_their_owner_and_rights(
    write: Callable[[Path, Sequence[BoxedName]], None], tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    save(path)
    sidecar_of(path).write_text(RATING)
    for each in tmp_path.iterdir():
        each.chmod(0o640)
        os.chown(each, 1234, 2345)
    write(path, [FACE])
    assert [face.name for face in read_names(path)] == ["Ann"]
    for each in tmp_path.iterdir():
        state = each.stat()
        assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (1234, 2345, 0o640)


@pytest.mark.parametrize("write", [write_names, write_names_inside])
def test_read_only_files_stay(
    write: Callable[[Path, Sequence[BoxedName]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "a.jpg"
    save(path)
    sidecar_of(path).write_text(RATING)
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do all
    with pytest.raises(OutputError, match="it is read-only"):
        write(path, [FACE])
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_a_link_to_a_sidecar_stays(tmp_path: Path) -> None:
    path, target = tmp_path / "a.jpg", tmp_path / "kept" / "x.xmp"
    save(path)
    target.parent.mkdir()
    target.write_text(RATING)
    sidecar_of(path).symlink_to(target)
    write_names(path, [FACE])
    assert sidecar_of(path).is_symlink() and len(read_regions(target)) == 1
