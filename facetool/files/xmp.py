"""Face regions in XMP, where digiKam, Lightroom and Immich keep who is in a photo.

Source: Metadata Working Group, "Guidelines for Handling Image Metadata", version 2.0, 2010: 5.9
(regions), and 5.4 (orientation): regions are those of the stored image, before EXIF turns it.
"""

from __future__ import annotations

import codecs
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from xml.dom import XMLNS_NAMESPACE, minidom
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import quoteattr

from facetool.errors import FormatError, OutputError, one_line
from facetool.files.atomic import atomic_write
from facetool.files.text import printable, read_bytes, reading
from facetool.files.xmp_places import Edit, edited, find_places

REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
AREA = "http://ns.adobe.com/xmp/sType/Area#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_MOST_BYTES = 1 << 24
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")
"""A document type, by which entities could grow without end; no sidecar has one."""

_ENCODING = re.compile(r"""^(\ufeff?\s*<\?xml\s[^>]*?encoding\s*=\s*)(["'])[^"'>]*\2""")

_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_FRAME = {
    *((REGIONS, name) for name in ("Regions", "AppliedToDimensions", "RegionList")),
    *((RDF, name) for name in ("Description", "Bag", "Seq", "Alt")),
}


class FaceRegion(NamedTuple):
    """A face of a photo.

    Attributes:
        name: of the person.
        x: of the centre, 0…1 of the stored image's width.
        y: of the centre, 0…1 of its height.
        width: 0…1 of its width.
        height: 0…1 of its height.
        description: free text.
    """

    name: str
    x: float
    y: float
    width: float
    height: float
    description: str = ""


def sidecar_of(photo: Path) -> Path:
    """The sidecar that is made: ``photo.jpg.xmp``, as digiKam and Immich name it."""
    return photo.with_name(f"{photo.name}.xmp")


def find_sidecar(photo: Path) -> Path | None:
    """The sidecar of a photo: ``photo.jpg.xmp``, or ``photo.xmp`` as Lightroom names it."""
    return next(iter(sidecars(photo)), None)


def sidecars(photo: Path) -> list[Path]:
    """Those of a photo that are there; the first takes precedence."""
    paths = (sidecar_of(photo), photo.with_suffix(".xmp"))
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def read_regions(path: Path) -> list[FaceRegion]:
    """The faces that have a name in a sidecar; see :func:`parse_regions`."""
    return parse_regions(_read(path), str(path))


def parse_regions(text: str, source: str) -> list[FaceRegion]:
    """The faces that have a name in XMP.

    Args:
        text: the XMP.
        source: whose it is, for messages.

    Raises:
        FormatError: it is no XMP, or a region is damaged.
    """
    regions = []
    for node in _named_faces(_parse(text, source)):
        name = _value(node, REGIONS, "Name")
        try:
            x, y, width, height = (float(_value(node, AREA, key)) for key in "xywh")
        except ValueError:
            message = f"{source}: the region of {printable(name)!r} is damaged"
            raise FormatError(message) from None
        text = _value(node, REGIONS, "Description")
        regions.append(FaceRegion(name, x, y, width, height, text))
    return regions


def write_regions(path: Path, regions: Sequence[FaceRegion], width: int, height: int) -> None:
    """Put faces into a sidecar, which is made where there is none; what else it holds stays.

    A sidecar that would not change is not written.

    Args:
        path: the sidecar.
        regions: take the place of the faces with a name that are there.
        width: of the stored image, pixels.
        height: of the stored image, pixels.

    Raises:
        FormatError: what is there is no XMP.
        OutputError: the file cannot be written.
    """
    text = _read(path) if path.is_file() else ""
    content = with_regions(text, regions, width, height, str(path))
    if content != text.encode():
        write_over(path, content)


def write_over(path: Path, content: bytes) -> None:
    """Write a file of the user's, which keeps its owner and rights where it is there already.

    Raises:
        OutputError: it cannot be written, or is read-only.
    """
    if not path.exists():
        with atomic_write(path) as file:
            file.write(content)
        return
    path = path.resolve()  # not the link to it
    if not os.access(path, os.W_OK):
        raise OutputError(f"cannot write {path}: it is read-only")
    with atomic_write(path) as file:
        file.write(content)
        file.flush()
        state = path.stat()
        for owner in ((state.st_uid, -1), (-1, state.st_gid)):
            with suppress(AttributeError, OSError):  # no Unix, or of another user's
                os.chown(file.name, *owner)
        shutil.copystat(path, file.name)
        os.utime(file.name)


def with_regions(
    text: str, regions: Sequence[FaceRegion], width: int, height: int, source: str
) -> bytes:
    """XMP, UTF-8, with these faces in the place of those with a name; every other byte stays.

    Regions of other types and faces without a name stay, too, with the list that they are in.

    Args:
        text: the XMP; empty where there is none yet.
        regions: of the faces.
        width: of the stored image, pixels.
        height: of the stored image, pixels.
        source: whose it is, for messages.

    Raises:
        FormatError: it is no XMP.
    """
    text = _ENCODING.sub(r"\1\2UTF-8\2", text or _EMPTY)
    document = _parse(text, source)
    roots = document.getElementsByTagNameNS(RDF, "RDF")
    if not roots:
        raise FormatError(f"{source}: no XMP: it has no rdf:RDF")
    # Not made from its tree again, which would change line ends in attributes.
    data = text.encode()
    found = find_places(_without_declaration(text))
    places = dict(zip(document.getElementsByTagName("*"), found, strict=True))
    edits = []

    def remove(node: minidom.Element) -> None:
        if node.parentNode is not None:
            node.parentNode.removeChild(node)
        edits.append(Edit(places[node].start, places[node].end))

    emptied = []
    for node in _named_faces(document):
        remove(node)
    for node in document.getElementsByTagNameNS(REGIONS, "Regions"):
        if all(map(_is_frame, (node, *node.getElementsByTagName("*")))):
            emptied.append(node.parentNode)
            remove(node)
    for node in document.getElementsByTagNameNS(RDF, "Description"):
        # Earlier versions left some behind, in which their prefix is declared.
        if _says_nothing(node) and (node in emptied or _declares_regions(node)):
            remove(node)
    if regions:
        into, added = roots[0], _description(regions, width, height)
        if document.getElementsByTagNameNS(REGIONS, "Regions"):
            into = _container(document, source)
            # The prefixes may stand for something else there.
            added = "".join(_item(region, f" {_NAMESPACES}") for region in regions)
        edits.append(places[into].put_last(added.encode(), into.tagName))
    return edited(data, edits)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FormatError(f"{path}: too large for a sidecar")
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}") from error
    data = read_bytes(path)
    with reading(path):  # line ends and a byte order mark stay
        return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8")


def _parse(text: str, source: str) -> minidom.Document:
    if _DECLARATION.search(text):
        raise FormatError(f"{source}: has a document type, which no XMP needs")
    try:
        document = minidom.parseString(_without_declaration(text))
        document.getElementsByTagName("*")
    except ExpatError as error:
        raise FormatError(f"{source}: no XMP: {one_line(error)}") from error
    except RecursionError:
        raise FormatError(f"{source}: no XMP: its elements are nested too deeply") from None
    return document


def _without_declaration(text: str) -> bytes:
    """XML in UTF-8, whatever encoding it names; every byte in its place."""
    found = re.match(r"(\ufeff?\s*)(<\?xml\s[^>]*\?>)", text)
    blank = f"{found[1]}{' ' * len(found[2])}{text[found.end() :]}" if found else text
    return blank.encode()


def _named_faces(document: minidom.Document) -> list[minidom.Element]:
    """The items of lists of regions that are faces with a name."""
    items = [
        item
        for regions in document.getElementsByTagNameNS(REGIONS, "RegionList")
        for item in regions.getElementsByTagNameNS(RDF, "li")
        if _value(item, REGIONS, "Type") in ("", "Face") and _value(item, REGIONS, "Name")
    ]
    return list(dict.fromkeys(items))


def _container(document: minidom.Document, source: str) -> minidom.Element:
    """The bag of a document's regions."""
    for regions in document.getElementsByTagNameNS(REGIONS, "RegionList"):
        for node in regions.childNodes:
            if isinstance(node, minidom.Element) and node.namespaceURI == RDF:
                return node
    raise FormatError(f"{source}: its regions are no list, to which names could be added")


def _is_frame(node: minidom.Element) -> bool:
    """Whether an element holds regions, or says of which dimensions, and nothing of its own."""
    known = (node.namespaceURI, node.localName) in _FRAME or node.namespaceURI == _DIMENSIONS
    return known and all(
        one.namespaceURI in (XMLNS_NAMESPACE, RDF, _DIMENSIONS) for one in node.attributes.values()
    )


def _says_nothing(node: minidom.Element) -> bool:
    """Whether a description has no property."""
    return not any(child.toxml().strip() for child in node.childNodes) and all(
        one.namespaceURI == XMLNS_NAMESPACE
        or (one.namespaceURI, one.localName, one.value) == (RDF, "about", "")
        for one in node.attributes.values()
    )


def _declares_regions(node: minidom.Element) -> bool:
    return any(one.value == REGIONS for one in node.attributes.values())


def _value(node: minidom.Element, namespace: str, name: str) -> str:
    """A property, which may be written as an attribute or as an element, at any depth."""
    for element in (node, *node.getElementsByTagName("*")):
        if element.hasAttributeNS(namespace, name):
            return str(element.getAttributeNS(namespace, name))
        if element.namespaceURI == namespace and element.localName == name:
            texts = (
                child.data for child in element.childNodes if child.nodeType == child.TEXT_NODE
            )
            if text := "".join(texts).strip():
                return text
    return ""


_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="{RDF}"></rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

_NAMESPACES = f"""xmlns:rdf="{RDF}" xmlns:mwg-rs="{REGIONS}"
 xmlns:stArea="{AREA}\""""


def _description(regions: Sequence[FaceRegion], width: int, height: int) -> str:
    items = "\n".join(map(_item, regions))
    return f"""<rdf:Description rdf:about="" {_NAMESPACES} xmlns:stDim="{_DIMENSIONS}">
<mwg-rs:Regions rdf:parseType="Resource">
<mwg-rs:AppliedToDimensions stDim:w="{width}" stDim:h="{height}" stDim:unit="pixel"/>
<mwg-rs:RegionList><rdf:Bag>
{items}
</rdf:Bag></mwg-rs:RegionList>
</mwg-rs:Regions>
</rdf:Description>"""


def _item(region: FaceRegion, declarations: str = "") -> str:
    return f"""<rdf:li{declarations}><rdf:Description mwg-rs:Name={_quoted(region.name)}
 mwg-rs:Type="Face" mwg-rs:Description={_quoted(region.description)}><mwg-rs:Area
 stArea:x="{region.x:.6f}" stArea:y="{region.y:.6f}" stArea:w="{region.width:.6f}"
 stArea:h="{region.height:.6f}" stArea:unit="normalized"/></rdf:Description></rdf:li>"""


def _quoted(text: str) -> str:
    """An attribute's value; what XML cannot hold is escaped first."""
    return quoteattr(_NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", printable(text)))


_NO_XML = re.compile("[\ufffe\uffff]")
"""What XML 1.0 has no letters for, besides what :func:`printable` escapes."""
