"""The ``facetool`` command: finds its subcommands lazily and maps errors to exit codes."""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from traceback import walk_tb
from typing import Any

import click

from facetool._version import __version__
from facetool.cli import interrupts
from facetool.cli.messages import error_text
from facetool.cli.progress import TerminalProgress
from facetool.cli.streams import drop_output, prepare_streams, reader_is_gone
from facetool.errors import FacetoolError
from facetool.files.text import printable
from facetool.jobs.progress import follow

COMMANDS = {
    "align": "Cut the faces out of a folder of photos.",
    "bin-eval": "Accuracy on InsightFace's verification sets (lfw.bin ...).",
    "classify": "Name people: train a classifier, use it on photos, measure it.",
    "cluster": "Group the faces of unknown people.",
    "compare": "Compare the faces in photos.",
    "embed": "From photos to embeddings in one pass, on one machine or many.",
    "embed-plot": "Draw embeddings as a map (t-SNE).",
    "identify": "Identification rates among distractors, as MegaFace measures.",
    "ijb-eval": "Verification and identification of templates (IJB-B, IJB-C).",
    "lfw-eval": "Verification accuracy and ROC on LFW-style pairs.",
    "merge": "Turn what embed wrote into a folder like represent's.",
    "models": "List, inspect, fetch and convert networks and weights.",
    "outliers": "Find faces unlike the rest of their folder.",
    "profile": "Measure the time and memory that networks and the stages take.",
    "records": "Pack, inspect and unpack InsightFace's record files.",
    "represent": "Turn aligned faces into embeddings.",
    "sample": "Draw an album of imaginary people to try things with.",
    "search": "Find the person of a photo among many faces.",
    "serve": "Serve face recognition over HTTP, with a web page.",
    "train": "Train a network, or fine-tune one, on aligned faces.",
}
"""Command name to its line in ``facetool --help``."""

_CONTINUE = {
    "align": "what is finished is on disk, the same command continues",
    "embed": "the shards that are finished stay, the same command makes the rest",
    "merge": "what is finished is on disk, the same command continues",
    "represent": "what is finished is on disk, the same command continues",
    "sample": "what is finished is on disk, the same command continues",
    "train": "the same command continues from the last checkpoint",
}
"""What an interrupted command leaves. The others start over."""


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

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what ends it early is told in terms of that command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            interrupts.expect_no_more()
            left = _CONTINUE.get(ctx.invoked_subcommand or "")
            interrupted = _InterruptedError("interrupted" + (f"; {left}" if left else ""))
            interrupted.exit_code = interrupts.exit_code()
            raise interrupted from error
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            able = {name for command in self._invoked(ctx) for name in _option_names(command)}
            advice = [words for name, words in _LESS_MEMORY.items() if name in able]
            then = f"; {' or '.join(advice)} may help" if advice else ""
            raise FacetoolError(f"out of memory{then}") from error

    def _invoked(self, ctx: click.Context) -> Iterator[click.Command]:
        """The command that runs and, of a group, its own commands."""
        command = self.get_command(ctx, ctx.invoked_subcommand or "")
        if isinstance(command, click.Group):
            yield from command.commands.values()
        elif command is not None:
            yield command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for ``--help``, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facetool")
@click.pass_context
def cli(context: click.Context) -> None:
    """Face recognition from photos to embeddings, names and ROC curves.

    A folder of photos becomes aligned crops (align), embeddings (represent) and metrics
    (lfw-eval); compare takes photos as they are.
    """
    if sys.platform == "win32":
        click.echo(_ON_WINDOWS, err=True)
    context.with_resource(follow(TerminalProgress()))


_ON_WINDOWS = (
    "warning: Windows is not supported: nothing is tested there, folders are not locked against a "
    "second writer and .rec files cannot be read; run facetool in WSL (wsl --install)"
)


_ALLOCATIONS_PER_COLLECTION = 50_000
"""With Python's own 700 a tenth of the import of torch goes to looking for garbage."""


def main() -> None:
    """Run the command line and exit: 0 done, 1 some inputs failed or no result, 2 wrong usage."""
    _read_names_as_utf8()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
    # Pillow remarks upon odd metadata, of which nothing is used, in several lines.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    # Matplotlib speaks of where its cache lies, in several lines.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        prepare_streams()  # before any file is opened
        interrupts.handle_interrupts()
        code = cli.main(prog_name="facetool", standalone_mode=False)
        sys.stdout.flush()
        interrupts.expect_no_more()  # while one that has come is still caught below
        sys.exit(code if isinstance(code, int) else 0)
    except (click.Abort, KeyboardInterrupt):
        interrupts.expect_no_more()
        _fail("interrupted", interrupts.exit_code())
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FacetoolError as error:
        _fail(error_text(error), error.exit_code)
    except OSError as error:
        nobody_reads = isinstance(error, BrokenPipeError) and reader_is_gone()
        drop_output()
        if nobody_reads:
            sys.stderr.close()
            sys.exit(1)
        _fail(_os_error(error), 1)
    except Exception:
        # A library that a signal cuts in the middle may fail over its own half-done work.
        if not interrupts.came():
            raise
        _fail("interrupted", interrupts.exit_code())
    finally:
        interrupts.expect_no_more()
        # Ending, Python looks for garbage among all that there is: a fifth of a second with torch.
        gc.freeze()


def _read_names_as_utf8() -> None:
    """Begin again in Python's UTF-8 mode where the locale has another encoding.

    Manifests and lists are UTF-8: a name of a file that is read as Latin-1 and written as UTF-8 is
    another name, on this machine and on the next.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONUTF8": "1"})


class _InterruptedError(FacetoolError):
    """A command was interrupted by the user, or by the system it runs on."""


_LESS_MEMORY = {"batch_size": "a smaller --batch-size", "jobs": "fewer --jobs"}
"""Options that make a command need less."""


def _option_names(command: click.Command) -> list[str]:
    return [parameter.name or "" for parameter in command.params]


def _is_out_of_memory(error: Exception) -> bool:
    """Whether Python, PyTorch or a CUDA library got no memory."""
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("out of memory", "can't allocate memory")
    )


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    where = f": {error.filename}" if error.filename else ""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        where = "; allow more with ulimit -n"
    *_, (frame, _) = walk_tb(error.__traceback__)
    if frame.f_code in (click.echo.__code__, main.__code__):
        return f"cannot write stdout: {reason}"
    return f"{reason}{where}"


def _fail(message: str, code: int) -> None:
    print(printable(f"facetool: {' '.join(message.split())}"), file=sys.stderr)
    if code == interrupts.exit_code():
        with suppress(OSError):
            sys.stdout.flush()
        interrupts.end_soon()
    sys.exit(code)
