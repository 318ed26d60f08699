"""Names of files that are taken for paths below a folder."""

from __future__ import annotations

from pathlib import PurePath

LEADS_OUT = "its name leads out of the folder"


def leads_out(name: str) -> bool:
    """Whether a name, taken for a path below a folder, is one somewhere else."""
    path = PurePath(name)
    return bool(path.anchor) or ".." in path.parts
