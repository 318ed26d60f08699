"""Paths as callers give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def as_paths(given: str | Path | Sequence[str | Path]) -> list[Path]:
    """Paths of a list, or the one that is given in its place."""
    return [Path(one) for one in ([given] if isinstance(given, str | Path) else given)]


def optional_path(given: str | Path | None) -> Path | None:
    """A path, if one is given."""
    return None if given is None else Path(given)
