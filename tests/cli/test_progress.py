"""The terminal shows remarks always, and bars to somebody who watches and did not say --quiet."""

import io
import sys
from collections.abc import Iterator
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from facetool.cli import options
from facetool.cli.main import COMMANDS
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@click.command()
@options.quiet_option
def command() -> None:
    with progress_bar("align", 3) as bar:
        Report().failed("a.jpg", "no face")
        bar.update(3)
        bar.describe("loss=1")


@pytest.mark.parametrize(("arguments", "bars"), [([], True), (["--quiet"], False)])
def test_bars(arguments: list[str], bars: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    command.main(arguments, standalone_mode=False)
    assert "a.jpg: no face\n" in stderr.getvalue()
    assert ("align: 100%" in stderr.getvalue()) == bars


def test_no_bar_where_nobody_watches() -> None:
    assert CliRunner().invoke(command).stderr == "a.jpg: no face\n"


WITHOUT_A_BAR = {
    "compare",
    "embed-plot",
    "ijb-eval",
    "lfw-eval",
    "models convert",
    "models export",
    "models info",
    "models list",
    "models quantize",
    "models verify",
    "models where",
    "records features",
    "records info",
    "records pack-pairs",
    "serve",
}
"""Commands that draw none."""


def _commands() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = import_module(f"facetool.cli.{name.replace('-', '_')}").command
        if isinstance(command, click.Group):
            yield from ((f"{name} {one}", inner) for one, inner in command.commands.items())
        else:
            yield name, command


@pytest.mark.slow
def test_every_command_that_draws_a_bar_can_be_quiet() -> None:
    loud = {name for name, one in _commands() if "quiet" not in {p.name for p in one.params}}
    assert loud == WITHOUT_A_BAR
