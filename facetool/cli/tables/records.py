"""What a record file holds, as text."""

from __future__ import annotations

from typing import Any

from facetool.files.text import counted, printable


def records_text(found: dict[str, Any]) -> str:
    """A line per fact, and one per damage."""
    each, said = found["images_per_identity"], found["property"]
    rows = [
        ("file", found["file"]),
        ("images", f"{found['images']:,}"),
        ("identities", f"{found['identities']:,}"),
        ("images of each", f"{each['least']:,} to {each['most']:,}, {each['mean']:.1f} on average"),
        ("index", "there" if found["index"] else "none: found by a scan"),
        ("header record", "there" if found["header_record"] else "none"),
        ("property", _property(said) if said else "none"),
        ("without label", f"{found['without_label']:,}"),
        *(("damaged", one) for one in found["damaged"]),
    ]
    return "\n".join(printable(f"{name:<16}{value}") for name, value in rows)


def _property(said: dict[str, Any]) -> str:
    records = f", {counted(said['records'], 'record')}" if said["records"] is not None else ""
    identities = counted(said["classes"], "identity", "identities")
    return f"{identities}, {said['width']}x{said['height']} pixels{records}"
