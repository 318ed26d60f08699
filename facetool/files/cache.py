"""The folder for what is fetched or computed once and kept between commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from facetool.errors import WeightsError


def cache_folder() -> Path:
    """``$FACETOOL_HOME``, or ``facetool`` in the user's cache folder.

    The latter is ``$XDG_CACHE_HOME``, or else what the platform uses (``~/.cache``,
    ``~/Library/Caches``, ``%LOCALAPPDATA%``).

    Raises:
        WeightsError: the user has no home.
    """
    if home := os.environ.get("FACETOOL_HOME"):
        return Path(home).expanduser()
    if cache := os.environ.get("XDG_CACHE_HOME"):
        base = Path(cache)
    elif sys.platform == "darwin":
        base = _home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    else:
        base = _home() / ".cache"
    return base / "facetool"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # neither HOME nor an entry in passwd, as in some containers
        raise WeightsError(
            "this user has no home folder; name a folder for weights in FACETOOL_HOME"
        ) from error
