"""Face regions in XMP: written for photo managers, read as they write them."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.dom import minidom

import pytest

from facetool.errors import FormatError
from facetool.files.xmp import (
    RDF,
    REGIONS,
    FaceRegion,
    find_sidecar,
    parse_regions,
    read_regions,
    with_regions,
    write_regions,
)
from tests.files.xmp_styles import DIGIKAM, ELSEWHERE, LIGHTROOM, NAMESPACES

FACES = [
    FaceRegion("Ann Lee", 0.25, 0.5, 0.125, 0.25, "facetool: confidence 0.9"),
    FaceRegion('Bob "B" <&>', 0.75, 0.5, 0.1, 0.2),
]

AS_ELEMENTS = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}>
<rdf:Description rdf:about=""><mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>
<rdf:li rdf:parseType="Resource">
 <mwg-rs:Area rdf:parseType="Resource"><stArea:x>0.25</stArea:x><stArea:y>0.5</stArea:y>
 <stArea:w>0.125</stArea:w><stArea:h>0.25</stArea:h></mwg-rs:Area>
 <mwg-rs:Name>Ann Lee</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type></rdf:li>
<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Rex</mwg-rs:Name><mwg-rs:Type>Pet</mwg-rs:Type>
</rdf:li>
</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions></rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    write_regions(path, FACES, 4000, 3000)
    assert read_regions(path) == FACES
    write_regions(path, FACES[:1], 4000, 3000)  # takes the place of those
    assert read_regions(path) == FACES[:1]


OURS = [FACES[0], FACES[0]._replace(name="Bea", x=0.75)]


def put(text: str, faces: list[FaceRegion]) -> str:
    return with_regions(text, faces, 40, 30, "x").decode()


@pytest.mark.parametrize("text", ELSEWHERE)
def test_names_stand_beside_all_that_others_wrote_and_go_again(text: str) -> None:
    assert parse_regions(text, "x") == []
    named = put(text, OURS)
    assert parse_regions(named, "x") == OURS
    more = len(named) - len(text)  # one piece was put in
    assert any(named[:at] + named[at + more :] == text for at in range(len(text)))
    assert named.count("AppliedToDimensions") == text.count("AppliedToDimensions")
    assert put(named, OURS) == named
    assert parse_regions(put(named, OURS[:1]), "x") == OURS[:1]
    assert put(put(named, OURS[:1]), OURS) == named
    assert put(named, []) == text


@pytest.mark.parametrize("faces", [[], OURS])
def test_descriptions_that_earlier_versions_left_empty_go(faces: list[FaceRegion]) -> None:
    declared = f'xmlns:rdf="{RDF}" rdf:about="" xmlns:mwg-rs="{REGIONS}"'
    empty = f"<rdf:Description {declared}>\n\n</rdf:Description>"
    old = LIGHTROOM.replace("</rdf:RDF>", f"{empty * 3}</rdf:RDF>")
    assert put(old, faces) == put(LIGHTROOM, faces)


def test_an_empty_list_of_descriptions_gets_one() -> None:
    text = f"<rdf:RDF {NAMESPACES}/>"
    named = put(text, OURS)
    assert parse_regions(named, "x") == OURS
    assert put(named, []) == text.replace("/>", "></rdf:RDF>")


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "ISO-8859-1"])
def test_a_sidecar_of_another_encoding_says_that_it_is_utf_8(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    text = DIGIKAM.replace("Haus", "Häuser").replace("UTF-8", encoding)
    path.write_bytes(text.encode("utf-16" if encoding == "UTF-16" else "utf-8"))
    write_regions(path, OURS, 40, 30)
    (first, *_) = minidom.parse(str(path)).getElementsByTagName("rdf:li")
    assert first.toxml() == "<rdf:li>Häuser &amp; Hof</rdf:li>"


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_stay(start: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    before = f"{start}{DIGIKAM}".replace("\n", "\r\n").encode()
    path.write_bytes(before)
    write_regions(path, OURS, 40, 30)
    assert read_regions(path) == OURS
    write_regions(path, [], 40, 30)
    assert path.read_bytes() == before


def test_a_list_that_is_none_gets_no_names() -> None:
    text = LIGHTROOM.replace("rdf:Bag", "mwg-rs:Bag").replace("rdf:li", "mwg-rs:li")
    with pytest.raises(FormatError, match="no list"):
        put(text, OURS)
    deep = "<a>" * 5000 + "</a>" * 5000
    with pytest.raises(FormatError, match="nested"):
        put(deep, OURS)


def test_properties_may_be_elements() -> None:
    assert parse_regions(AS_ELEMENTS, "x") == [FACES[0]._replace(description="")]


@pytest.mark.skipif(not shutil.which("exiftool"), reason="no exiftool")
def test_exiftool_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    write_regions(path, FACES, 4000, 3000)
    command = ["exiftool", "-struct", "-json", "-RegionInfo", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    info = json.loads(done.stdout)[0]["RegionInfo"]
    assert info["AppliedToDimensions"] == {"W": 4000, "H": 3000, "Unit": "pixel"}
    assert [one["Name"] for one in info["RegionList"]] == [face.name for face in FACES]
    area = info["RegionList"][0]["Area"]
    assert [area[key] for key in "XYWH"] == [0.25, 0.5, 0.125, 0.25]
    assert info["RegionList"][0]["Type"] == "Face"


def test_what_else_a_sidecar_holds_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    rating = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>"""
    path.write_text(rating)
    write_regions(path, FACES, 4000, 3000)
    assert 'xmp:Rating="4"' in path.read_text("utf-8")
    assert read_regions(path) == FACES


DOCUMENT_TYPE = '<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("text", "message"), [("not xml", "no XMP"), (DOCUMENT_TYPE, "document type")]
)
def test_what_is_no_sidecar(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_regions(path)
    with pytest.raises(FormatError, match=message):
        write_regions(path, FACES, 10, 10)
    assert path.read_text() == text


def test_xml_of_another_kind_has_no_faces_and_gets_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    path.write_text("<a/>")
    assert read_regions(path) == []
    with pytest.raises(FormatError, match="rdf:RDF"):
        write_regions(path, FACES, 10, 10)
    assert path.read_text() == "<a/>"


def test_a_damaged_region_is_not_read_and_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    path.write_text(AS_ELEMENTS.replace("0.125", "wide"))
    with pytest.raises(FormatError, match="'Ann Lee' is damaged"):
        read_regions(path)
    write_regions(path, FACES, 10, 10)
    assert [region.name for region in read_regions(path)] == [face.name for face in FACES]


def test_names_of_any_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    write_regions(path, [FACES[0]._replace(name="Zoë 李\x07\udcff")], 10, 10)
    assert read_regions(path)[0].name == r"Zoë 李\x07\xff"


def test_sidecars_of_both_spellings_are_found(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    assert find_sidecar(photo) is None
    (tmp_path / "a.xmp").touch()
    assert find_sidecar(photo) == tmp_path / "a.xmp"
    (tmp_path / "a.jpg.xmp").touch()
    assert find_sidecar(photo) == tmp_path / "a.jpg.xmp"


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a\x01\x1b[2Jb", "a\\x01\\x1b[2Jb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("x\udcff", "x\\xff"),
        ("\ufffe\uffff", "\\ufffe\\uffff"),
        ("é 田中 \U0001f600", "é 田中 \U0001f600"),
    ],
)
def test_names_that_xml_cannot_hold_are_escaped(tmp_path: Path, name: str, read: str) -> None:
    """A folder may be called anything; what is written stays XML, and is written again the same."""
    path = tmp_path / "a.jpg.xmp"
    for _ in range(2):
        write_regions(path, [FACES[0]._replace(name=name, description=f"facetool: {name}")], 40, 30)
        (found,) = read_regions(path)
        assert (found.name, found.description) == (read, f"facetool: {read}")
