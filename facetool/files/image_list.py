"""Lists of images (``.lst``) that record files are made from: InsightFace's and MXNet's.

InsightFace's ``face2rec2.py`` reads ``<aligned>\\t<path>\\t<label>``, and of photos that are not
aligned four edges of a box and five points more: x1 … x5, y1 … y5. MXNet's ``im2rec`` writes
``<number>\\t<label>\\t<path>``, and so do those who train on WebFace42M with arcface_torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError
from facetool.files.text import read_text

LIST_SUFFIX = ".lst"
_WITH_POINTS = 17
_MOST_LABELS = 1 << 24
"""Labels are float32 in a record, which counts no further."""


class ListedImage(NamedTuple):
    """A line of a list.

    Attributes:
        path: of the image, as it stands there.
        label: number of its identity.
        aligned: whether it is a crop.
        points: float64 (5, 2), of a photo that is none; None where there are none.
    """

    path: str
    label: int
    aligned: bool = True
    points: NDArray[np.float64] | None = None


def read_image_list(path: Path) -> list[ListedImage]:
    """Read a list.

    Raises:
        FormatError: a line is none of either kind; it is named.
    """
    listed = []
    text = read_text(path, errors="surrogateescape")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        try:
            listed.append(_of_insightface(cells) or _of_mxnet(cells))
        except (ValueError, OverflowError):
            raise FormatError(
                f"{path} line {number}: expected <aligned>, <path>, <label> or <number>, <label>, "
                f"<path>, with tabs between, found {line[:60]!r}"
            ) from None
    return listed


def _of_insightface(cells: Sequence[str]) -> ListedImage | None:
    """ValueError where it is of no kind; None where it is of the other."""
    if len(cells) < 3 or cells[0] not in ("0", "1") or _is_number(cells[1]):
        return None
    points = None
    if len(cells) >= _WITH_POINTS:
        points = np.array(cells[7:_WITH_POINTS], float).reshape(2, 5).T
        if not np.isfinite(points).all():
            raise ValueError("a point is not finite")
    return ListedImage(cells[1], _label(cells[2]), cells[0] == "1", points)


def _of_mxnet(cells: Sequence[str]) -> ListedImage:
    if len(cells) < 3 or not cells[0].isdecimal() or not cells[-1]:
        raise ValueError("no such line")
    return ListedImage(cells[-1], _label(cells[1]))


def _label(text: str) -> int:
    value = float(text)
    if not (value.is_integer() and 0 <= value < _MOST_LABELS):
        raise ValueError("no label")
    return int(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
