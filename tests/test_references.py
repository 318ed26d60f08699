"""What docstrings refer to, ``:func:`name``` and its like, is there."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import facetool

ROOT = Path(facetool.__file__).parent

ROLES = re.compile(r":(?:attr|class|const|data|exc|func|meth|mod|obj):`([^`]*)`")


def _references(path: Path) -> Iterator[tuple[int, str]]:
    """Line of each reference of a file, and what it says."""
    text = path.read_text("utf-8")
    for match in ROLES.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1].removeprefix("~")


def _has(value: object, name: str) -> bool:
    """Whether an attribute is there, or would be in an instance."""
    fields = {key for one in getattr(value, "__mro__", ()) for key in inspect.get_annotations(one)}
    return hasattr(value, name) or name in fields


def _is_there(value: object, names: list[str]) -> bool:
    for name in names[:-1]:
        value = getattr(value, name, None)
    return _has(value, names[-1])


def _resolves(name: str, module: str, package: str) -> bool:
    """Whether there is what a docstring of a module calls by this name."""
    if name.startswith("."):
        name = package + name
    parts = name.split(".")
    here = importlib.import_module(module)
    classes = [one for one in vars(here).values() if inspect.isclass(one)]
    if any(_is_there(one, parts) for one in [here, *classes]):
        return True
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        return end == len(parts) or _is_there(found, parts[end:])
    return False


@pytest.mark.slow
def test_what_docstrings_refer_to_is_there() -> None:
    found = 0
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        package = ".".join(parts[:-1])
        module = package if parts[-1] == "__init__" else ".".join(parts)
        for line, name in _references(path):
            found += 1
            if not _resolves(name, module, package):
                wrong.append(f"{path.relative_to(ROOT)}:{line} refers to {name}")
    assert found > 100
    assert not wrong, "\n".join(wrong)
