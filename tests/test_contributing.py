"""CONTRIBUTING.md names packages, files, names in them and scripts that are there."""

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


def _place(name: str) -> Path:
    """A file by its name in the text, from facetool/ or from the top."""
    inside = ROOT / "facetool" / name
    return inside if inside.exists() else ROOT / name


def test_every_name_is_in_the_file_it_is_said_to_be_in() -> None:
    places = re.findall(r"`(\w+)`\s(?:in|of)\s`([\w/]+\.py)`", TEXT)
    assert len(places) > 8
    missing = []
    for name, file in places:
        if not re.search(rf"\b{name}\b", _place(file).read_text("utf-8")):
            missing.append(f"{name} in {file}")
    assert not missing


def test_every_script_is_described_with_the_page_of_its_results() -> None:
    scripts = {f"scripts/{path.name}" for path in (ROOT / "scripts").iterdir() if path.is_file()}
    assert {name for name in scripts if name not in TEXT} <= {"scripts/setup"}
    rows = re.findall(r"^\| (`scripts/.*?`) \| .* \| `([\w/.-]+)` \|$", TEXT, re.MULTILINE)
    assert len(rows) > 15
    for names, page in rows:
        text = (ROOT / page).read_text("utf-8")
        assert all(name in text for name in re.findall(r"`([^`]+)`", names)), (names, page)
