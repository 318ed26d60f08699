"""JSON files: read whole, or an error that names the file; written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facetool.errors import FormatError
from facetool.files.atomic import atomic_write
from facetool.files.text import read_text

_DIGITS = 20


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        FormatError: the file cannot be read, or holds something else.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str | bytes, source: str) -> dict[str, Any]:
    """A JSON object out of its text.

    Args:
        text: the JSON.
        source: whose it is, for messages.

    Raises:
        FormatError: it is something else, or has a number that is not finite.
    """
    try:
        value = json.loads(
            text, parse_int=_whole_number, parse_float=_finite, parse_constant=_finite
        )
    except json.JSONDecodeError as error:
        raise FormatError(f"{source} line {error.lineno}: not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{source}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise FormatError(f"{source}: expected a JSON object, found {type(value).__name__}")
    return value


def _whole_number(digits: str) -> int:
    """A whole number; those of more than 64 bits are none of ours, and may be too large for floats.

    Raises:
        ValueError: it has too many digits.
    """
    if len(digits) > _DIGITS:
        raise ValueError(f"a whole number of {len(digits):,} digits")
    return int(digits)


def _finite(text: str) -> float:
    """A number; Python's own reader takes ``NaN``, which JSON does not have, and ``1e999``."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def json_text(value: Mapping[str, Any]) -> str:
    """A JSON object as files hold it: indented, with a line's end; NaN is an error."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all; names of files may be any bytes."""
    # What UTF-8 cannot hold, parts of such names, becomes the very escape that JSON has for it.
    with atomic_write(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(json_text(value))
