"""How MXNet names the weights of a training run's epochs: ``PREFIX-0007.params`` is ``PREFIX,7``.

Light: commands call it to find a file, before anything is loaded.
"""

from __future__ import annotations

import re
from pathlib import Path

_NAMED = re.compile(r"(.+),(\d{1,4}(?:\|\d{1,4})*)")


def weights_file(path: str | Path) -> Path:
    """The file that a user means: the path, or ``PREFIX,EPOCH`` of MXNet's programs."""
    files = epochs(path)
    return files[0] if len(files) == 1 else Path(path)


def epochs(path: str | Path) -> list[Path]:
    """The weights files of several epochs, as InsightFace's ``verification.py`` lets name them.

    Args:
        path: ``PREFIX,1|2|3``; ``PREFIX`` alone for all epochs there are, the last one first; or
            a file.

    Returns:
        The files; the path itself where it is a file, or nothing of the kind.
    """
    if Path(path).exists():
        return [Path(path)]
    named = _NAMED.fullmatch(str(path))
    if named is not None:
        return [Path(f"{named[1]}-{int(epoch):04d}.params") for epoch in named[2].split("|")]
    prefix = Path(path)
    if not prefix.name or not prefix.parent.is_dir():
        return [prefix]
    pattern = re.compile(re.escape(prefix.name) + r"-\d{4}\.params")
    found = [file for file in prefix.parent.iterdir() if pattern.fullmatch(file.name)]
    return sorted(found, reverse=True) or [prefix]
