"""What commands print on stdout, whatever bytes names of files have and the terminal knows."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import click


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print JSON values, always as valid JSON.

    What UTF-8 cannot hold, parts of names of files, is escaped as JSON has it; so is everything
    but ASCII where stdout is not UTF-8. Numbers that are not finite become null.

    Args:
        value: objects, lists, texts and numbers.
        indent: spaces; None for one line.
    """
    utf_8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=not utf_8, allow_nan=False)
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
