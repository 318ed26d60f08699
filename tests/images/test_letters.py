"""Names in every alphabet: letters where a font has them, escapes where none has, never a box."""

from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure

from facetool.images import letters
from facetool.images.annotate import Label, annotate
from facetool.images.letters import readable, runs
from facetool.plots.style import plain, save_plot

ALPHABETS = "Zoë Łukasz Özil Ελένη Дмитрий Հայկ გია علي"
HAN = "田中"


@pytest.fixture(autouse=True)
def no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    set_system_fonts(monkeypatch, [])


def set_system_fonts(monkeypatch: pytest.MonkeyPatch, fonts: list[Path]) -> None:
    monkeypatch.setattr(letters, "_system_fonts", lambda: fonts)
    letters._best_font.cache_clear()


def make_font(path: Path, text: str) -> Path:
    """A font whose every letter is a full square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 1000), (1000, 1000), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    names = [".notdef", *(f"u{ord(letter):X}" for letter in text)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(t): n for t, n in zip(text, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def test_alphabets_are_as_they_are() -> None:
    assert readable(ALPHABETS) == ALPHABETS
    (run,) = runs(ALPHABETS)
    assert run.font.name == "DejaVuSans.ttf"


def test_letters_of_no_font_are_escaped() -> None:
    assert readable(f"Zoë {HAN}") == "Zoë \\u7530\\u4e2d"
    assert plain(f"{HAN} $5") == "\\u7530\\u4e2d \\$5"
    assert readable("a\nb\udcff") == "a\\nb\\xff"


def test_the_systems_fonts_have_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    one = make_font(tmp_path / "One.ttf", HAN[0])
    both = make_font(tmp_path / "Both.ttf", HAN)
    set_system_fonts(monkeypatch, [broken, one, both])
    assert readable(HAN) == HAN
    assert [(run.text, run.font.name) for run in runs(f"Zoë {HAN}!")] == [
        ("Zoë ", "DejaVuSans.ttf"),
        (HAN, "Both.ttf"),
        ("!", "DejaVuSans.ttf"),
    ]
    photo = np.zeros((400, 400, 3), np.uint8)
    black = annotate(photo, [Label((50, 100, 350, 300), HAN)])[:100]
    label = black[(black == (255, 214, 0)).all(axis=2).any(axis=1)]
    drawn = (label[:, 52:80] == 0).all(axis=2)  # the squares fill what the frame leaves
    assert drawn.mean() > 0.7


def test_plots_take_letters_from_the_systems_fonts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def draw(name: str) -> bytes:
        figure = Figure(figsize=(2, 1))
        figure.subplots().set_yticks([0], [plain(name)])
        save_plot(figure, tmp_path / "a.png")
        return (tmp_path / "a.png").read_bytes()

    escaped = draw(HAN)
    set_system_fonts(monkeypatch, [make_font(tmp_path / "Squares.ttf", HAN)])
    assert draw(HAN) != escaped
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
