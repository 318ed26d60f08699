"""Every command that a page shows has the options that it is given there."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

from facetool.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")} - {ROOT / "docs" / "cli.md"})


def commands(page: Path) -> set[str]:
    """Code that begins with ``facetool``, and inline code with an option of a command."""
    text = re.sub(r"\\\n\s*", "", page.read_text("utf-8")).replace("\\|", "|")
    inline = [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    blocks = re.findall(r"^```.*?^```$|^ {4}.*?$", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    found = {code for code in [*inline, *lines] if code.startswith("facetool ")}
    names = "|".join(COMMANDS)
    found |= {f"facetool {code}" for code in inline if re.match(rf"(?:{names}) .*-", code)}
    # Another program takes over where a line has a pipe or the like.
    return {re.split(r" [|&;>#] | +#", code)[0] for code in found}


@pytest.mark.parametrize(
    ("page", "command"),
    [(page.name, command) for page in PAGES for command in sorted(commands(page))],
)
def test_a_page_gives_a_command_options_that_it_has(page: str, command: str) -> None:
    _, name, *rest = shlex.split(command)
    if name.startswith("-") or name == "…":
        return
    assert name in COMMANDS, page
    found = import_module(f"facetool.cli.{name.replace('-', '_')}").command
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        assert rest[0] in found.commands, page
        found = found.commands[rest.pop(0)]
    options = [(*parameter.opts, *parameter.secondary_opts) for parameter in found.params]
    given = {word.partition("=")[0] for word in rest if re.match(r"--?[A-Za-z0]", word)}
    assert given - {"--help"} <= {option for names in options for option in names}, page


def test_the_pages_are_found() -> None:
    assert {"README.md", "CHANGELOG.md", "training.md"} <= {page.name for page in PAGES}
    assert sum(len(commands(page)) for page in PAGES) > 150
