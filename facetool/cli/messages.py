"""Errors in the words of the command line."""

from __future__ import annotations

import re
from ast import literal_eval

from facetool.errors import FacetoolError

_QUOTES = ("'", '"')


def error_text(error: FacetoolError) -> str:
    """The message in one line, with the settings it names as options.

    ``facetool[index]`` is an extra, and stays as it is.
    """
    settings = sorted(map(re.escape, error.settings), key=len, reverse=True)
    text = str(error)
    if settings:
        text = re.sub(
            rf"(?<![\w\[])(?:{'|'.join(settings)})(?!\w)", lambda found: _option(found[0]), text
        )
    return remark_text(" ".join(text.split()))


_ADVISED = re.compile(r"(?<![\w/])(?:every=SECONDS|output=NAME)(?![\w/])")
"""Settings that remarks, and errors without settings of their own, advise to give."""


def remark_text(text: str) -> str:
    """A remark in one line with the setting that it advises as an option; names of files stay."""
    return _ADVISED.sub(lambda found: _option(found[0]), text)


def _option(setting: str) -> str:
    """``--any-crop`` for ``any_crop=True``, ``--device cpu`` for ``device='cpu'``."""
    name, _, value = setting.partition("=")
    name = f"--{name.replace('_', '-')}"
    if value in ("", "True"):
        return name
    return f"{name} {(literal_eval(value) or value) if value[0] in _QUOTES else value}"
