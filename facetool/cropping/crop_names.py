"""Where the crops of each photo go, so that no two photos share a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

_NUMBERED = re.compile(r"(.*)\.face\d+")


def crop_stems(names: Sequence[str], several: bool) -> list[str]:
    """Paths of crops below OUTPUT, without ``.png``: those of the photos, without suffix.

    Photos that would share one keep their suffix: ``a.jpg.png`` and ``a.bmp.png``.

    Args:
        names: of the photos, all different.
        several: a photo may have several crops, the second ``<stem>.face2.png``.
    """
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    while True:
        taken = Counter(stem.casefold() for stem in stems)
        shared = [
            place
            for place, stem in enumerate(stems)
            if stem != names[place]
            and (taken[stem.casefold()] > 1 or (several and _of_another(stem, taken)))
        ]
        if not shared:
            return stems
        for place in shared:
            stems[place] = names[place]


def _of_another(stem: str, taken: Counter[str]) -> bool:
    """Whether a stem is that of another photo's further face."""
    numbered = _NUMBERED.fullmatch(stem.casefold())
    return numbered is not None and numbered[1] in taken
