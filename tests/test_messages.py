"""Messages name settings as Python writes them; only the command line knows of options."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import click
import pytest

import facetool
from facetool.cli.main import COMMANDS

ROOT = Path(facetool.__file__).parent
OF_OTHER_PROGRAMS = ("--force-reinstall", "--nproc-per-node")


def _library() -> Iterator[tuple[Path, ast.Module]]:
    for path in ROOT.rglob("*.py"):
        if path.relative_to(ROOT).parts[0] != "cli":
            yield path, ast.parse(path.read_text("utf-8"))


def _texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """Literals that are no docstrings."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            yield node


@pytest.mark.slow
def test_no_text_of_the_library_names_an_option() -> None:
    found = []
    for path, tree in _library():
        if path.name == "foreign_formats.py":  # which programs convert other formats, and how
            continue
        for node in _texts(tree):
            named = set(re.findall(r"--[a-z][\w-]*", str(node.value))) - set(OF_OTHER_PROGRAMS)
            found += [f"{path.relative_to(ROOT)}:{node.lineno} {name}" for name in named]
    assert not found


def _options(command: click.Command) -> set[str]:
    own = {option for parameter in command.params for option in parameter.opts}
    if isinstance(command, click.Group):
        return own.union(*map(_options, command.commands.values()))
    return own


def _settings() -> Iterator[tuple[str, str]]:
    """Place and name of each setting that an error names."""
    for path, tree in _library():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if not node.func.id.endswith("Error") or node.func.id not in facetool.__all__:
                continue
            for argument in node.args[1:]:
                first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
                if isinstance(first, ast.Constant):
                    name = str(first.value).partition("=")[0]
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", name


@pytest.mark.slow
def test_every_setting_that_an_error_names_is_an_option() -> None:
    names = (name.replace("-", "_") for name in COMMANDS)
    known = set().union(*(_options(import_module(f"facetool.cli.{n}").command) for n in names))
    settings = list(_settings())
    assert len(settings) > 30
    wrong = [one for one in settings if f"--{one[1].replace('_', '-')}" not in known]
    assert not wrong


COUNTED = (
    "crops|embeddings|faces|folds|groups|identities|images|impostors|names|pairs|paths|people|photos|"
    "probes|processes|records|rows|templates|workers"
)


def test_what_is_counted_has_its_number() -> None:
    """``1 photo``, not ``1 photos``: counted() knows, and a text that says "photos" does not."""
    found = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.JoinedStr):
                continue
            for value, after in pairwise(node.values):
                if not isinstance(value, ast.FormattedValue) or _is_constant(value.value):
                    continue
                spec = ast.unparse(value.format_spec) if value.format_spec else ""
                if spec not in ("", "f','") or not isinstance(after, ast.Constant):
                    continue
                words = rf" (?:{COUNTED})\b" + (rf"| [a-z-]+ (?:{COUNTED})\b" if spec else "")
                if re.match(words, str(after.value)):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {after.value!r}")
    assert not found


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.isupper()
