"""Names as they are printed."""

import pytest

from facetool.files.text import as_utf8, counted, from_utf8, printable


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


def test_what_is_counted_agrees_with_its_number() -> None:
    assert counted(1, "photo") == "1 photo" and counted(0, "photo") == "0 photos"
    assert counted(2000, "photo") == "2,000 photos"
    assert [counted(n, "person", "people") for n in (1, 2)] == ["1 person", "2 people"]


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "\udcff.jpg", "\ufffd", "\ufffdff", "\ufffd\ufffd\udc80e\u0301", "a\udcc3\ufffd9f"],
)
def test_names_of_any_bytes_as_utf_8_and_back(name: str) -> None:
    written = as_utf8(name)
    assert from_utf8(written.encode("utf-8").decode("utf-8")) == name


def test_names_in_utf_8_stay_as_they_are() -> None:
    assert as_utf8("P/ñ 田中.jpg") == "P/ñ 田中.jpg"
    assert len({as_utf8(name) for name in ("\udcff", "\ufffdff", "\ufffd\ufffdff")}) == 3
