"""Fonts that have the letters of people's names.

DejaVu, which comes with matplotlib, has the alphabets; what it lacks, such as Chinese, Japanese and
Korean, a font of the system may have. Where none has, a letter is written escaped: never a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from facetool.files.text import printable


class ScriptRun(NamedTuple):
    """Letters that stand beside each other and come from one font."""

    text: str
    font: Path


def readable(text: str) -> str:
    """Text as it can be drawn: letters that no font here has are escaped (``\\u7530``)."""
    text = printable(text)
    lacking = set(text) - _letters_of(fonts_for(text))
    return "".join(
        letter.encode("unicode_escape").decode("ascii") if letter in lacking else letter
        for letter in text
    )


def runs(text: str) -> list[ScriptRun]:
    """Text, as it can be drawn, divided by the fonts that its letters are in."""
    text = readable(text)
    fonts = fonts_for(text)
    having = [next(font for font in fonts if letter in _letters(font)) for letter in text]
    pairs = groupby(zip(text, having, strict=True), lambda pair: pair[1])
    return [ScriptRun("".join(letter for letter, _ in run), font) for font, run in pairs]


def fonts_for(text: str) -> list[Path]:
    """DejaVu, and the system's fonts for the letters that it lacks, as far as there are any."""
    fonts = [_dejavu()]
    lacking = set(text) - _letters(fonts[0])
    while lacking and (font := _best_font(frozenset(lacking))) is not None:
        fonts.append(font)
        lacking -= _letters(font)
    return fonts


@cache
def _best_font(lacking: frozenset[str]) -> Path | None:
    """The first font of the system with all of some letters, else the one with most of them."""
    best, most = None, 0
    for font in _system_fonts():
        count = len(lacking & _letters(font))
        if count > most:
            best, most = font, count
        if most == len(lacking):
            break
    return best


def _letters_of(fonts: Sequence[Path]) -> set[str]:
    return set().union(*map(_letters, fonts))


@cache
def _letters(font: Path) -> frozenset[str]:
    """The letters that a font has; none of one that cannot be read or drawn at any size."""
    from matplotlib.ft2font import FT2Font

    try:
        face = FT2Font(str(font))
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(map(chr, face.get_charmap())) if face.scalable else frozenset()


@cache
def _dejavu() -> Path:
    from matplotlib import get_data_path

    return Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def _system_fonts() -> list[Path]:
    """Regular weights without serifs first."""
    from matplotlib.font_manager import findSystemFonts

    def rank(font: Path) -> tuple[bool, bool, str]:
        name = font.stem.lower()
        return "sans" not in name, not name.endswith("regular"), str(font)

    return sorted(map(Path, findSystemFonts()), key=rank)
