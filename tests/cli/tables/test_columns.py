"""Tables line up."""

from facetool.cli.tables.columns import format_table


def test_numbers_right_texts_left() -> None:
    table = format_table(("name", "bytes"), [("a", 1_000_000), ("longer", None)])
    assert table.split("\n") == ["name        bytes", "a       1,000,000", "longer"]


def test_no_rows() -> None:
    assert format_table(("a", "b"), []) == "a  b"
