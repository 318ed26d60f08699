"""Where the elements of XML lie in its bytes, so that some change and all others stay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.parsers.expat import ParserCreate


class Edit(NamedTuple):
    """What takes the place of some bytes."""

    start: int
    end: int
    content: bytes = b""


class Place(NamedTuple):
    """Where an element is.

    Attributes:
        start: where its tag begins.
        close: where its end tag begins, or the ``/>`` of an empty element.
        end: behind that.
        empty: it has no end tag.
    """

    start: int
    close: int
    end: int
    empty: bool

    def put_last(self, content: bytes, tag: str) -> Edit:
        """Put content into an element, behind all that it has; ``tag`` is the element's."""
        if self.empty:
            return Edit(self.close, self.end, b">%b</%b>" % (content, tag.encode()))
        return Edit(self.close, self.close, content)


def find_places(data: bytes) -> list[Place]:
    """Those of all elements of a document in UTF-8, in the order in which they begin.

    Raises:
        xml.parsers.expat.ExpatError: it is no XML.
    """
    parser = ParserCreate()
    places: list[Place] = []
    unfinished: list[int] = []
    latest = -1  # element of which nothing but its tag has been read

    def start(*_: object) -> None:
        nonlocal latest
        latest = len(places)
        unfinished.append(latest)
        places.append(Place(parser.CurrentByteIndex, 0, 0, False))

    def end(_: str) -> None:
        # Of an empty element, here is the end of its tag.
        number, here = unfinished.pop(), parser.CurrentByteIndex
        empty = number == latest and data[here - 2 : here] == b"/>"
        close, stop = (here - 2, here) if empty else (here, data.index(b">", here) + 1)
        places[number] = Place(places[number].start, close, stop, empty)

    def other(_: str) -> None:
        nonlocal latest
        latest = -1

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.DefaultHandler = other
    parser.Parse(data, True)
    return places


def edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The bytes after all edits; of one that lies within another nothing is left."""
    pieces, kept = [], 0
    for start, end, content in sorted(edits):
        if start >= kept:
            pieces += [data[kept:start], content]
            kept = end
    return b"".join([*pieces, data[kept:]])
