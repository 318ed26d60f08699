"""Which images of a folder facetool itself wrote: they are no photos to look for faces in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from facetool.errors import FormatError
from facetool.files.align_description import ALIGN_JSON
from facetool.files.atomic import part_path
from facetool.files.json_file import read_json, write_json

_JOURNAL = part_path(Path("align.journal")).name
"""What ``align`` leaves while it works."""

_COPIES = ".facetool-copies.json"
"""Marks a folder of annotated copies: which there are, and of which photo each is."""

_PLOTS = {
    "represent.json": ("tsne.png", "roc.png", "confusion.png"),
    "result.json": ("roc.png",),
    "classification.json": ("confusion.png",),
    "identify.json": ("identify.png",),
}
"""Plots, by the file of results that lies beside them."""


def holds_crops(names: set[str]) -> bool:
    """Whether a folder with such files is one that ``align`` fills or has filled."""
    return ALIGN_JSON in names or _JOURNAL in names


def own_images(folder: Path, names: set[str]) -> set[str]:
    """Those of a folder's files that are annotated copies, or plots beside their results."""
    own = {plot for results, plots in _PLOTS.items() if results in names for plot in plots}
    if _COPIES in names:
        own.update(read_copies(folder))
    return own & names


def read_copies(folder: Path) -> dict[str, str]:
    """The photo, as an absolute path, of each annotated copy in a folder."""
    path = folder / _COPIES
    if not path.is_file():
        return {}
    try:
        return {name: str(photo) for name, photo in read_json(path).items()}
    except FormatError:
        return {}


def write_copies(folder: Path, copies: Mapping[str, str]) -> None:
    """Mark a folder as one of annotated copies; the inverse of :func:`read_copies`."""
    write_json(folder / _COPIES, copies)
