"""What there is to say of a photo that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from facetool.images.read import ANIMATED, TRUNCATED
from facetool.jobs.report import Report

TOO_LARGE = "too large to be searched as it is"

LEFT_OUT = "left out, as not upright or with landmarks that contradict each other"

CHOSEN = "faces is taken"

_KINDS = {
    "truncated": TRUNCATED,
    "animated": ANIMATED,
    "scaled down": TOO_LARGE,
    "faces left out": LEFT_OUT,
    "one of several faces": CHOSEN,
}
"""Kind to its words, or the last of them."""


def remarks_among(texts: Sequence[str]) -> list[tuple[str, str]]:
    """The kinds and words of the remarks that are said, alone or within longer texts."""
    parts = [part for text in texts for part in text.split("; ")]
    found = {kind: [part for part in parts if part.endswith(end)] for kind, end in _KINDS.items()}
    return [(kind, said[0]) for kind, said in found.items() if said]


class PhotoRemark(NamedTuple):
    """A photo, as it was given, and what there is to say of it."""

    image: str
    remark: str


def note_remarks(name: str, remarks: Sequence[str], report: Report) -> list[PhotoRemark]:
    """Count and tell the remarks on a photo or video that can be used.

    Returns:
        The same, for a result that is to hold them.
    """
    among = remarks_among(remarks)
    for kind, remark in among:
        report.note(name, kind, remark)
    return [PhotoRemark(name, remark) for _, remark in among]
