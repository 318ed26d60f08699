"""CONTRIBUTING.md names packages and files that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _packages() -> list[str]:
    """The packages of the table."""
    return re.findall(r"^\| `(\w+)/` \|", TEXT, re.MULTILINE)


def test_every_package_is_described() -> None:
    there = {path.parent.name for path in (ROOT / "facetool").glob("*/__init__.py")}
    assert set(_packages()) == there


def test_every_file_it_names_is_there() -> None:
    names = set(re.findall(r"`([\w./-]+/[\w.-]*\.\w+|scripts/[\w-]+)`", TEXT))
    assert len(names) > 20
    missing = [n for n in names if not (ROOT / "facetool" / n).exists() and not (ROOT / n).exists()]
    assert not missing
