"""The terminal shows remarks always, and bars to somebody who watches and did not say --quiet."""

import io
import sys

import click
import pytest
from click.testing import CliRunner

from facetool.cli import options
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
