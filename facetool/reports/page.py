"""A self-contained HTML page of thumbnails: no script, no other file, no network."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from os import SEEK_END
from pathlib import Path
from typing import IO, BinaryIO

import cv2
import numpy as np

from facetool._version import __version__
from facetool.errors import ImageError, UsageError
from facetool.files.atomic import atomic_write
from facetool.files.output_file import check_output
from facetool.files.text import printable
from facetool.images.read import RGBImage
from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.pool import available_cores

_QUALITY = 82
_FRAME = 14
"""Pixels of a card around its thumbnail: two paddings and borders, as page.css has them."""

_PER_THREAD = 4
"""Thumbnails under way for each thread: photos of any size may be behind them."""

_SIGNATURE = "<footer>facetool "
"""At the end of every page, by which an earlier one is known."""

_SIGNED_WITHIN = 200

_STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")


@dataclass(frozen=True, kw_only=True)
class Card:
    """An image and what is said about it.

    Attributes:
        image: gives RGB uint8 (H, W, 3), called in a thread; an ImageError leaves its place empty.
        title: the first line, set off.
        lines: further lines.
        mood: ``good``, ``bad`` or empty: the colour of the frame.
        edge: pixels of the thumbnail's longer side.
    """

    image: Callable[[], RGBImage]
    title: str = ""
    lines: Sequence[str] = ()
    mood: str = ""
    edge: int = 112


class Page:
    """Writes a page as it goes, so that its size in memory does not grow.

    Args:
        file: opened for text.
        pool: makes the thumbnails.
    """

    def __init__(self, file: IO[str], pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool

    def table(self, rows: Iterable[tuple[str, object]]) -> None:
        """Facts and their values."""
        cells = "".join(
            f"<tr><td>{_text(name)}</td><td>{_text(str(value))}</td></tr>\n" for name, value in rows
        )
        self._file.write(f"<table>\n{cells}</table>\n")

    def contents(self, titles: Sequence[str]) -> None:
        """Links to sections."""
        links = "".join(f'<a href="#{_anchor(title)}">{_text(title)}</a>\n' for title in titles)
        self._file.write(f"<nav>\n{links}</nav>\n")

    def section(self, title: str, note: str = "") -> None:
        """A heading; cards follow."""
        self._file.write(f'<h2 id="{_anchor(title)}">{_text(title)}</h2>\n')
        self._paragraph(note)

    def group(self, title: str, note: str = "") -> None:
        """A heading within a section."""
        self._file.write(f"<h3>{_text(title)}</h3>\n")
        self._paragraph(note)

    def cards(self, cards: Iterable[Card]) -> None:
        """Thumbnails side by side, made a few ahead."""
        self._file.write('<div class="cards">\n')
        thumbnails = ordered_map(
            lambda card: (card, self._pool.submit(_thumbnail, card)),
            lambda started: (started[0], started[1].result()),
            cards,
            _PER_THREAD * available_cores(),
        )
        for card, thumbnail in thumbnails:
            self._file.write(_figure(card, thumbnail))
        self._file.write("</div>\n")

    def image(self, png: bytes, text: str) -> None:
        """A plot as it is; ``text`` says what it shows."""
        self._file.write(f'<img src="{_data("png", png)}" alt="{_text(text)}">\n')

    def _paragraph(self, text: str) -> None:
        if text:
            self._file.write(f"<p>{_text(text)}</p>\n")


def check_page(path: Path) -> None:
    """Refuse a page's name before anything takes its time.

    Raises:
        UsageError: it is not that of a page, or that of a file that facetool did not write.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path}: the name of a page must end in .html")
    check_output(path, "page of facetool's", _is_page)


def _is_page(file: BinaryIO) -> bool:
    file.seek(max(0, file.seek(0, SEEK_END) - _SIGNED_WITHIN))
    return _SIGNATURE.encode() in file.read()


@contextmanager
def write_page(path: Path, title: str, note: str = "") -> Iterator[Page]:
    """Write a page, whole or not at all.

    Args:
        path: the file.
        title: of the page.
        note: a sentence below it.

    Raises:
        UsageError: the name is not that of a page, or a file is there that is no page.
        OutputError: the file cannot be written.
    """
    check_page(path)
    with (
        ThreadPoolExecutor(available_cores(), "thumbnail") as pool,
        atomic_write(path, "w", encoding="utf-8") as file,
    ):
        file.write(
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{_text(title)}</title>\n<style>\n{_STYLE}</style>\n"
            f"<h1>{_text(title)}</h1>\n"
        )
        page = Page(file, pool)
        page._paragraph(note)
        try:
            yield page
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        file.write(f"{_SIGNATURE}{__version__}</footer>\n</html>\n")


def _figure(card: Card, thumbnail: str) -> str:
    image = '<div class="none">no image</div>'
    if thumbnail:
        image = f'<img src="{thumbnail}" alt="{_text(card.title)}" loading="lazy" decoding="async">'
    title = f"<b>{_caption(card.title)}</b>" if card.title else ""
    lines = "<br>".join(map(_caption, card.lines))
    kind = f' class="{card.mood}"' if card.mood else ""
    kind += f' style="width: {card.edge + _FRAME}px"'
    return f"<figure{kind}>{image}<figcaption>{title}{lines}</figcaption></figure>\n"


def _thumbnail(card: Card) -> str:
    """A data URL; empty where there is no image."""
    try:
        image = card.image()
    except ImageError:
        return ""
    bgr = np.ascontiguousarray(shrink(image, card.edge)[0][:, :, ::-1])
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return _data("jpeg", encoded.tobytes())


def shrink(image: RGBImage, edge: int) -> tuple[RGBImage, float]:
    """An image whose longer side has at most ``edge`` pixels, and the factor of its size."""
    height, width = image.shape[:2]
    scale = min(1.0, edge / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: RGBImage = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small, scale


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _text(text: str) -> str:
    """Text that can neither end an attribute nor begin a tag, nor hide what follows it."""
    return escape(printable(text))


_MAY_BREAK = re.compile(r"(?<=[/_\\])|(?<=[^\W\d][-.])|(?<=\.)(?=[^\W\d])")
"""Between the parts of a file's name, and never within a number."""


def _caption(text: str) -> str:
    """Text below an image, which is often wider in one line than the image."""
    return "<wbr>".join(map(_text, _MAY_BREAK.split(text)))


def _anchor(title: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower())
