"""One word for a thing, the field's own, in everything a user or a contributor reads."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READ = [
    *(ROOT / "facetool").rglob("*.py"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
RETIRED = {
    r"likeness(es)?": "similarity",
    r"anew": "start over, recreate",
    r"arithmetic": "precision",
    r"pictures?": "image or plot",
    r"crowd": "distractors",
    r"(?<!download )(?<!downloaded )(at|by) hand": "available locally, download by hand",
    r"(?<!matplotlib )(verification|identification) figures": "metrics",
    r"lowest score": "minimum score",
    r"cosineface(?!\W)": "CosFace",
}
ALLOWED = {
    "classify_infer.py": 'the JSON key "likeness" of version 0.1',
    "classify.md": "the same",
    "choices.py": "the spelling that version 0.1 knew",
    "config.py": "the same",
    "__init__.py": "the same",
}
"""Files in which a retired word stands, and why."""


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_are_gone(word: str) -> None:
    pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number} (say {RETIRED[word]})"
        for path in READ
        if path.name not in ALLOWED
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found
