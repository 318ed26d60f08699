"""docs/originals.md: what stands in the column of facetool is there."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

from facetool.cli.main import COMMANDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "originals.md"


def commands() -> list[list[str]]:
    """The code in second columns that begins with ``facetool``, in words."""
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", row)[2] for row in rows]
    code = [text.replace("\\|", "|") for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    return [shlex.split(text) for text in code if text.startswith("facetool ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_has_the_options_that_the_page_gives_it(words: list[str]) -> None:
    _, name, *rest = words
    assert name in COMMANDS
    command = import_module(f"facetool.cli.{name.replace('-', '_')}").command
    if isinstance(command, click.Group):
        command = command.commands[rest[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def test_the_page_is_not_empty() -> None:
    assert len(commands()) > 30
