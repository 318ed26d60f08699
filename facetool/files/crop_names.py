"""Where the crops of each photo go, so that no two photos share a file."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

_NUMBERED = re.compile(r"(.*)\.face\d+")

_ENDS_LINES = ("Cc", "Zl", "Zp")
"""Unicode's categories of control characters and separators of lines and paragraphs."""


def crop_stems(names: Sequence[str], several: bool) -> list[str]:
    """Paths of crops below OUTPUT, without ``.png``: those of the photos, without suffix.

    Photos that would share one keep their suffix: ``a.jpg.png`` and ``a.bmp.png``. What would end
    a line of ``labels.csv`` or of a terminal is escaped: ``%0A`` for a line feed.

    Args:
        names: of the photos, all different.
        several: a photo may have several crops, the second ``<stem>.face2.png``.
    """
    whole = _without_controls(names)
    stems = [str(PurePosixPath(name).with_suffix("")) for name in whole]
    while True:
        taken = Counter(stem.casefold() for stem in stems)
        shared = [
            place
            for place, stem in enumerate(stems)
            if stem != whole[place]
            and (taken[stem.casefold()] > 1 or (several and _of_another(stem, taken)))
        ]
        if not shared:
            return stems
        for place in shared:
            stems[place] = whole[place]


def _without_controls(names: Sequence[str]) -> list[str]:
    """The names, no two of them the same, with control characters escaped as in a URL."""
    escaped = [name if name.isprintable() else _escaped(name) for name in names]
    taken = {name.casefold() for name, text in zip(names, escaped, strict=True) if name == text}
    for place, name in enumerate(names):
        if escaped[place] == name:
            continue
        while escaped[place].casefold() in taken:  # another photo is called so
            escaped[place] = escaped[place].replace("%", "%25", 1)
        taken.add(escaped[place].casefold())
    return escaped


def _escaped(name: str) -> str:
    return "".join(
        quote(letter) if unicodedata.category(letter) in _ENDS_LINES else letter for letter in name
    )


def _of_another(stem: str, taken: Counter[str]) -> bool:
    """Whether a stem is that of another photo's further face."""
    numbered = _NUMBERED.fullmatch(stem.casefold())
    return numbered is not None and numbered[1] in taken
