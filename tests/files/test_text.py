"""Names as they are printed."""

import pytest

from facetool.files.text import printable


@pytest.mark.parametrize(
    "name, printed",
    [
        ("田中 Ñandú.jpg", "田中 Ñandú.jpg"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("x\udcff", "x\\xff"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
    ],
)
def test_what_would_move_the_cursor_or_turn_the_line_is_escaped(name: str, printed: str) -> None:
    assert printable(name) == printed
