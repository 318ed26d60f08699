"""Every Python snippet of the documentation runs, on drawn photos."""

import re
import shutil
from pathlib import Path
from types import FunctionType

import pytest

import facetool

ROOT = Path(__file__).resolve().parents[2]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if SNIPPET.search(page.read_text("utf-8"))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_snippets_of_a_page_run_in_their_order(
    page: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(album, tmp_path / "album")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in SNIPPET.finditer(page.read_text("utf-8")):
        line = page.read_text("utf-8")[: snippet.start()].count("\n") + 1
        exec(compile("\n" * line + snippet[1], str(page), "exec"), names)


def test_docs_python_shows_every_function_of_the_library() -> None:
    text = "".join(SNIPPET.findall((ROOT / "docs" / "python.md").read_text("utf-8")))
    offered = [
        name for name in facetool.__all__ if isinstance(getattr(facetool, name), FunctionType)
    ]
    assert len(offered) > 20
    assert [name for name in offered if f"facetool.{name}(" not in text] == []
