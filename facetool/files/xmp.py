"""Face regions in XMP, where digiKam, Lightroom and Immich keep who is in a photo.

Source: Metadata Working Group, "Guidelines for Handling Image Metadata", version 2.0, 2010: 5.9
(regions), and 5.4 (orientation): regions are those of the stored image, before EXIF turns it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.dom import minidom
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import quoteattr

from facetool.errors import FormatError, one_line
from facetool.files.atomic import atomic_write
from facetool.files.text import printable, read_text

REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
AREA = "http://ns.adobe.com/xmp/sType/Area#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_MOST_BYTES = 1 << 24
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")
"""A document type, by which entities could grow without end; no sidecar has one."""


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
    """The sidecar that is written: ``photo.jpg.xmp``, as digiKam and Immich name it."""
    return photo.with_name(f"{photo.name}.xmp")


def find_sidecar(photo: Path) -> Path | None:
    """The sidecar of a photo: ``photo.jpg.xmp``, or ``photo.xmp`` as Lightroom names it."""
    for path in (sidecar_of(photo), photo.with_suffix(".xmp")):
        if path.is_file():
            return path
    return None


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
    for item in _parse(text, source).getElementsByTagNameNS(REGIONS, "RegionList"):
        for node in item.getElementsByTagNameNS(RDF, "li"):
            kind, name = (_value(node, REGIONS, key) for key in ("Type", "Name"))
            if kind in ("", "Face") and name:
                area = [_value(node, AREA, key) for key in "xywh"]
                try:
                    x, y, width, height = map(float, area)
                except ValueError:
                    message = f"{source}: the region of {printable(name)!r} is damaged"
                    raise FormatError(message) from None
                text = _value(node, REGIONS, "Description")
                regions.append(FaceRegion(name, x, y, width, height, text))
    return regions


def write_regions(path: Path, regions: Sequence[FaceRegion], width: int, height: int) -> None:
    """Put faces into a sidecar, which is made where there is none; what else it holds stays.

    Args:
        path: the sidecar.
        regions: take the place of those that are there.
        width: of the stored image, pixels.
        height: of the stored image, pixels.

    Raises:
        FormatError: what is there is no XMP.
        OutputError: the file cannot be written.
    """
    text = _read(path) if path.is_file() else ""
    content = with_regions(text, regions, width, height, str(path))
    with atomic_write(path) as file:
        file.write(content + b"\n")


def with_regions(
    text: str, regions: Sequence[FaceRegion], width: int, height: int, source: str
) -> bytes:
    """XMP, UTF-8, with these faces in the place of those in it; what else it holds stays.

    Args:
        text: the XMP; empty where there is none yet.
        regions: of the faces.
        width: of the stored image, pixels.
        height: of the stored image, pixels.
        source: whose it is, for messages.

    Raises:
        FormatError: it is no XMP.
    """
    document = _parse(text or _EMPTY, source)
    roots = document.getElementsByTagNameNS(RDF, "RDF")
    if not roots:
        raise FormatError(f"{source}: no XMP: it has no rdf:RDF")
    for old in document.getElementsByTagNameNS(REGIONS, "Regions"):
        if old.parentNode is not None:
            old.parentNode.removeChild(old)
    described = minidom.parseString(_description(regions, width, height))
    added = described.getElementsByTagNameNS(RDF, "Description")[0]
    roots[0].appendChild(document.importNode(added, deep=True))
    return b"\n".join(node.toxml("utf-8") for node in document.childNodes)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FormatError(f"{path}: too large for a sidecar")
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}") from error
    return read_text(path)


def _parse(text: str, source: str) -> minidom.Document:
    if _DECLARATION.search(text):
        raise FormatError(f"{source}: has a document type, which no XMP needs")
    try:
        # Whatever encoding the text names, it is UTF-8 by now.
        return minidom.parseString(re.sub(r"^\s*<\?xml[^>]*\?>", "", text).encode())
    except ExpatError as error:
        raise FormatError(f"{source}: no XMP: {one_line(error)}") from error


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


def _description(regions: Sequence[FaceRegion], width: int, height: int) -> str:
    items = "\n".join(
        f"""<rdf:li><rdf:Description mwg-rs:Name={_quoted(region.name)} mwg-rs:Type="Face"
 mwg-rs:Description={_quoted(region.description)}><mwg-rs:Area stArea:x="{region.x:.6f}"
 stArea:y="{region.y:.6f}" stArea:w="{region.width:.6f}" stArea:h="{region.height:.6f}"
 stArea:unit="normalized"/></rdf:Description></rdf:li>"""
        for region in regions
    )
    return f"""<rdf:Description rdf:about="" xmlns:rdf="{RDF}" xmlns:mwg-rs="{REGIONS}"
 xmlns:stArea="{AREA}" xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#">
<mwg-rs:Regions rdf:parseType="Resource">
<mwg-rs:AppliedToDimensions stDim:w="{width}" stDim:h="{height}" stDim:unit="pixel"/>
<mwg-rs:RegionList><rdf:Bag>
{items}
</rdf:Bag></mwg-rs:RegionList>
</mwg-rs:Regions>
</rdf:Description>"""


def _quoted(text: str) -> str:
    """An attribute's value; what XML cannot hold is escaped first."""
    return quoteattr(_NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", printable(text)))


_NO_XML = re.compile("[\ufffe\uffff]")
"""What XML 1.0 has no letters for, besides what :func:`printable` escapes."""
