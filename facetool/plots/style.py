"""What all plots share: the palette, the style of a paper, and how they are saved."""

from __future__ import annotations

from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from facetool.errors import UsageError
from facetool.files.atomic import atomic_write
from facetool.files.output_file import check_output
from facetool.images.letters import fonts_for, readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MAIN = PALETTE[0]

PAPER: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "pdf.fonttype": 42,  # TrueType, which journals ask for
}
"""matplotlib's settings for a figure as wide as a page."""

_SIGNED_WITHIN = 4096

_KINDS = {".png": "png", ".pdf": "pdf"}


def plain(text: str) -> str:
    """Text as it stands: to matplotlib a dollar sign would begin a formula.

    Letters that no font here has are escaped; ends of lines stay.
    """
    return "\n".join(map(readable, text.split("\n"))).replace("$", r"\$")


def check_name(path: Path) -> None:
    """Refuse a plot's name before anything takes its time.

    Raises:
        UsageError: it is neither PNG nor PDF, or that of a file that is no plot, such as a photo.
    """
    if path.suffix.lower() not in _KINDS:
        raise UsageError(f"{path}: the name of a plot must end in .png or .pdf")
    check_output(path, "plot", _is_plot)


def _is_plot(file: BinaryIO) -> bool:
    """Whether matplotlib has signed the file, near its start or its end."""
    start = file.read(_SIGNED_WITHIN)
    file.seek(max(0, file.seek(0, SEEK_END) - _SIGNED_WITHIN))
    return b"atplotlib" in start + file.read()


def save_plot(figure: Figure, path: Path, *, dpi: int = 300) -> None:
    """Write a figure as PNG or PDF, as its file's name says; equal figures make equal files.

    Args:
        figure: any.
        path: ``.png`` or ``.pdf``.
        dpi: pixels per inch of a PNG.

    Raises:
        UsageError: the name is another.
        OutputError: the file cannot be written.
    """
    from matplotlib import rc_context

    check_name(path)
    kind = _KINDS[path.suffix.lower()]
    metadata = {"CreationDate": None} if kind == "pdf" else None
    _set_fonts(figure)
    with rc_context(PAPER), atomic_write(path) as file:
        figure.savefig(file, format=kind, metadata=metadata, dpi=dpi)


def _set_fonts(figure: Figure) -> None:
    """Let a figure's texts take the letters that DejaVu lacks from other fonts."""
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font
    from matplotlib.text import Text

    texts: list[Any] = figure.findobj(Text)
    dejavu, *others = fonts_for("".join(text.get_text() for text in texts))
    if not others:
        return
    for font in others:
        fontManager.addfont(str(font))
    families = [FT2Font(str(font)).family_name for font in (dejavu, *others)]
    for text in texts:
        text.set_fontfamily(families)
