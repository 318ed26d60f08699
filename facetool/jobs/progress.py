"""Progress bars: on stderr, and only where somebody watches."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(title: str, total: int, done: int, quiet: bool, unit: str = "img") -> Any:
    """A bar that counts images; it vanishes when stderr is no terminal or with ``quiet``."""
    hidden = quiet or not sys.stderr.isatty()
    return tqdm(
        desc=title, total=total, initial=done, unit=unit, disable=hidden, dynamic_ncols=True
    )
