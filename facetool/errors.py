"""The errors a user can cause. Each message is one line: what is wrong and how to mend it."""

from __future__ import annotations

import math
from collections.abc import Collection


class FacetoolError(Exception):
    """Base of every error a user can cause; the command line prints it and exits with 1.

    Args:
        message: one line.
        settings: parts of it that name settings as Python writes them, such as
            ``overwrite=True``, for which the command line writes its options.
    """

    exit_code = 1

    def __init__(self, message: str, *settings: str) -> None:
        super().__init__(message, *settings)
        self.settings = settings

    def __str__(self) -> str:
        return str(self.args[0])


class UsageError(FacetoolError):
    """The request itself is wrong (an unknown name, contradicting options); exits with 2."""

    exit_code = 2


class ImageError(FacetoolError):
    """One image cannot be read or is not fit for use. Folders go on without it."""


class FormatError(FacetoolError):
    """A file is not what its name or place says: damaged, truncated, of another format."""


class WeightsError(FacetoolError):
    """Weights are missing, do not fit the network, or are of an unsupported kind."""


class OutputError(FacetoolError):
    """A result cannot be written (disk full, no permission); ends the command."""


def check_choice(setting: str, value: object, choices: Collection[object]) -> None:
    """Refuse a value that is none of a setting's choices.

    Raises:
        UsageError: so it is.
    """
    if value not in choices:
        given = f"{setting}={value!r}"
        raise UsageError(f"{given}: give one of {', '.join(map(str, choices))}", given)


def check_range(setting: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuse a number outside of a setting's range, its ends included, and NaN.

    Raises:
        UsageError: so it is.
    """
    if not (least <= value <= most and math.isfinite(value)):
        given = f"{setting}={value!r}"
        wanted = f"{least} or more" if most == math.inf else f"{least} to {most}"
        raise UsageError(f"{given}: give a number, {wanted}", given)


def one_line(error: BaseException, most: int = 200) -> str:
    """What another library says of an error, fit to be part of a one-line message.

    Args:
        error: whose text may have several lines, or none.
        most: letters to keep.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else f"{text[: most - 1]}…"
