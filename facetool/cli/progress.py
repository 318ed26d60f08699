"""Progress bars and remarks on stderr."""

from __future__ import annotations

import sys
from typing import Any

from facetool.cli.messages import remark_text
from facetool.files.text import printable
from facetool.jobs.progress import Progress, ProgressBar


class TerminalProgress(Progress):
    """Shows bars where stderr is a terminal, and remarks in any case.

    Args:
        quiet: no bars.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet

    def bar(self, title: str, total: int | None, done: int, unit: str) -> ProgressBar:
        """A bar below the remarks."""
        from tqdm import tqdm

        return _TerminalBar(
            tqdm(
                desc=title,
                total=total,
                initial=done,
                unit=unit,
                unit_scale=unit == "B",
                unit_divisor=1024,
                disable=self._quiet or not sys.stderr.isatty(),
                dynamic_ncols=True,
            )
        )

    def remark(self, name: str, text: str) -> None:
        """A line above the bar."""
        from tqdm import tqdm

        tqdm.write(printable(f"{name}: {remark_text(text)}"), file=sys.stderr)


class _TerminalBar(ProgressBar):
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, count: int = 1) -> None:
        self._bar.update(count)

    def describe(self, text: str) -> None:
        self._bar.set_postfix_str(text)

    def close(self) -> None:
        self._bar.close()
