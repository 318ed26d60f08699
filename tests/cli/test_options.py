"""The types of the command line's parameters."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from facetool.cli.main import COMMANDS
from facetool.cli.options import GivenPath
from tests.cli.conftest import Run

TEXTS = {("embed", "photos"), ("embed", "out"), ("merge", "out"), ("train", "start")}
"""Those that may be a path, a URL or a name."""


def _parameters(command: click.Command, name: str) -> Iterator[tuple[str, click.Parameter]]:
    for parameter in command.params:
        yield name, parameter
    if isinstance(command, click.Group):
        for other, one in command.commands.items():
            yield from _parameters(one, f"{name} {other}")


def _all_parameters() -> Iterator[tuple[str, click.Parameter]]:
    for name in COMMANDS:
        module = import_module(f"facetool.cli.{name.replace('-', '_')}")
        yield from _parameters(module.command, name)


PATHS = [
    (name, one)
    for name, one in _all_parameters()
    if isinstance(one.type, click.Path) or (name, one.name) in TEXTS
]


@pytest.mark.parametrize(
    ("name", "parameter"), PATHS, ids=[f"{name} {one.name}" for name, one in PATHS]
)
def test_no_path_is_empty(name: str, parameter: click.Parameter) -> None:
    """An unset shell variable was the current folder, which was then written into."""
    assert isinstance(parameter.type, GivenPath)
    with pytest.raises(click.BadParameter, match="the path is empty"):
        parameter.type.convert("", parameter, click.Context(click.Command(name)))


def test_there_are_many() -> None:
    assert len(PATHS) > 80 and {(name, one.name) for name, one in PATHS} >= TEXTS


@pytest.mark.parametrize(
    "arguments",
    [
        ("align", ".", ""),
        ("represent", "", "reps"),
        ("embed", ".", ""),
        ("merge", "", "reps"),
        ("train", ".", "", "--loss", "softmax", "--steps", 1),
        ("train", ".", "run", "--loss", "softmax", "--steps", 1, "--from", ""),
        ("records", "pack", ".", ""),
        ("classify", "train", ".", "-o", ""),
        ("identify", ".", ".", "--output", ""),
        ("compare", "", ""),
        ("sample", ""),
        ("models", "convert", "", "x.safetensors"),
    ],
)
def test_it_is_said_and_nothing_is_written(
    arguments: tuple[object, ...], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.returncode == 2 and "the path is empty" in done.stderr and not done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("align", ".", "crops"),
        ("bin-eval", "."),
        ("classify", "train", "."),
        ("compare", "a.jpg", "b.jpg"),
        ("embed", ".", "out"),
        ("profile", "pipeline", "a.jpg"),
        ("represent", ".", "reps"),
        ("serve",),
    ],
)
def test_nor_is_the_name_of_a_network(
    arguments: tuple[object, ...], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, "--model", "")
    assert done.returncode == 2 and "there is no network ''" in done.stderr
    assert not list(tmp_path.iterdir())
