"""The ``facetool`` command: finds its subcommands lazily and maps errors to exit codes."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from types import FrameType

import click

from facetool._version import __version__
from facetool.errors import FacetoolError

COMMANDS = {
    "align": "Cut the faces out of a folder of photos.",
    "bin-eval": "Accuracy on InsightFace's verification sets (lfw.bin ...).",
    "classify": "Name people: train a classifier, use it on photos, measure it.",
    "cluster": "Group the faces of unknown people.",
    "compare": "Say how alike the faces in photos are.",
    "embed-plot": "Draw embeddings as a map (t-SNE).",
    "identify": "Identification rates among distractors, as MegaFace measures.",
    "lfw-eval": "Verification accuracy and ROC on LFW-style pairs.",
    "models": "List, inspect, fetch and convert networks and weights.",
    "outliers": "Find faces unlike the rest of their folder.",
    "profile": "Measure the time and memory that networks and the stages take.",
    "records": "Pack, inspect and unpack InsightFace's record files.",
    "represent": "Turn aligned faces into embeddings.",
    "sample": "Draw an album of imaginary people to try things with.",
    "train": "Train a network, or fine-tune one, on aligned faces.",
}
"""Command name to its line in ``facetool --help``."""


class LazyGroup(click.Group):
    """Imports a command's module only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"facetool.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for ``--help``, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facetool")
def cli() -> None:
    """Face recognition from photos to embeddings, names and ROC curves.

    A folder of photos becomes aligned crops (align), embeddings (represent) and figures
    (lfw-eval); compare takes photos as they are.
    """


def main() -> None:
    """Run the command line and exit: 0 done, 1 some inputs failed or no result, 2 wrong usage."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(prog_name="facetool", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        _fail("interrupted; what is finished is on disk, the same command continues", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FacetoolError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted; what is finished is on disk, the same command continues", 130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; nothing is left to say
        sys.exit(1)
    except MemoryError:
        _fail("out of memory; a smaller --batch-size or fewer --jobs may help", 1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
    print(f"facetool: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
