"""Paths as callers give them."""

from __future__ import annotations

from pathlib import Path


def optional_path(given: str | Path | None) -> Path | None:
    """A path, if one is given."""
    return None if given is None else Path(given)
