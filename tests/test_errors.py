"""Errors of users, and those of other libraries as part of them."""

import pytest

from facetool.errors import FacetoolError, OutputError, UsageError, check_choice, one_line


def test_exit_codes() -> None:
    assert FacetoolError("x").exit_code == OutputError("x").exit_code == 1
    assert UsageError("x").exit_code == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("several\n\n  lines\tand spaces \n", "several lines and spaces"),
        ("", "ValueError"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_what_other_libraries_say_becomes_a_line(text: str, line: str) -> None:
    assert one_line(ValueError(text)) == line


def test_choices_are_named() -> None:
    check_choice("flip", "sum", ("none", "sum"))
    with pytest.raises(UsageError, match="flip='half': give one of none, sum") as caught:
        check_choice("flip", "half", ("none", "sum"))
    assert caught.value.settings == ("flip='half'",)
