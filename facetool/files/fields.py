"""Checked values of a JSON object, for the descriptions that folders carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facetool.errors import FormatError

_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
}


def checked(values: Mapping[str, Any], **kinds: type) -> dict[str, Any]:
    """The stated values of some keys; a key that is absent or null is left out.

    Raises:
        FormatError: a value is of another kind; its key is named.
    """
    found = {}
    for key, kind in kinds.items():
        value = values.get(key)
        if value is None:
            continue
        if type(value) is not kind:  # True is no whole number
            raise FormatError(f"{key} is not {_KINDS[kind]}")
        found[key] = value
    return found
