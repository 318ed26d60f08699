"""One word for a thing, the field's own, in everything a user or a contributor reads."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READ = [
    *(ROOT / "facetool").rglob("*.py"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(path for path in (ROOT / "scripts").iterdir() if path.is_file()),
]
RETIRED = {
    r"likeness(es)?": "similarity",
    r"anew": "start over, recreate",
    r"arithmetic": "precision",
    r"pictures?": "image or plot",
    r"films?": "video",
    r"crowd": "distractors",
    r"(?<!download )(?<!downloaded )by hand": "download by hand",
    r"at hand": "available locally",
    r"figures": "metrics",
    r"lowest score": "minimum score",
    r"least scores?": "minimum score",
    r"\d+ numbers": "dimensions",
    r"cosineface": "CosFace",
    r"first best|climb": "first_argmax, openface_threshold",
    r"same picture": "same_crop",
}
ALLOWED = {
    # The key that version 0.1 published.
    "facetool/pipeline/classify_infer.py": ['"likeness"'],
    "docs/classify.md": ["`likeness` in the JSON"],
    # The spelling that version 0.1 knew, still accepted.
    "facetool/training/losses/__init__.py": ['former_name="cosineface"'],
    # matplotlib's own figures.
    "facetool/plots/style.py": ["equal figures make equal files"],
}
"""What may stand in a file all the same."""

ONE_THING_IN_SEVERAL_MODULES = {
    "load": "weights",  # A reader's entry: from a file to a network.
    "command": "cli",  # What facetool runs, one per file.
}
"""Names that mean the same wherever they stand, and the package they stand in."""


@cache
def _text(path: Path) -> str:
    """As sentences and as names: parts of names are words, too."""
    return path.read_text("utf-8").replace("_", " ")


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_are_gone(word: str) -> None:
    pattern = re.compile(rf"\b({word})\b", re.IGNORECASE)
    found = []
    for path in READ:
        text = _text(path)
        if not pattern.search(text):
            continue
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(text.splitlines(), start=1):
            for allowed in ALLOWED.get(name, ()):
                line = line.replace(allowed.replace("_", " "), "")
            if pattern.search(line):
                found.append(f"{name}:{number} (say {RETIRED[word]})")
    assert not found


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_still_there(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert all(allowed in text for allowed in ALLOWED[name])


def test_no_public_name_stands_for_two_things() -> None:
    places = defaultdict(list)
    for path in (ROOT / "facetool").rglob("*.py"):
        package = path.relative_to(ROOT / "facetool").parts[0]
        for name in _defined(ast.parse(path.read_text("utf-8"))):
            if not name.startswith("_") and ONE_THING_IN_SEVERAL_MODULES.get(name) != package:
                # A function of cli/ may have the name of what it runs.
                places[name, package == "cli"].append(path.relative_to(ROOT).as_posix())
    assert not {name: found for (name, _), found in places.items() if len(found) > 1}


def _defined(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))
