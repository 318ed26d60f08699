"""What a report says of its counts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import facetool
from facetool.jobs.report import Report


def _outcomes() -> Iterator[str]:
    """All that any stage counts, where it is written down as such."""
    for path in Path(facetool.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Attribute) and node.func.attr == "done":
                yield from (
                    str(one.value) for one in node.args[:1] if isinstance(one, ast.Constant)
                )


def test_one_is_said_of_one_thing() -> None:
    outcomes = set(_outcomes())
    assert {"steps", "identities", "already there"} <= outcomes
    for outcome in outcomes:
        one, two = Report(), Report()
        one.done(outcome)
        two.done(outcome, 2000)
        assert str(two) == f"2,000 {outcome}"
        assert not re.match(r"1 (\w+ )?[a-z]{3,}s\b", str(one)), one


def test_what_was_done_comes_first_and_what_failed_last() -> None:
    report = Report()
    report.failed("a.jpg", "no image")
    for outcome in ("removed", "already there", "no-face", "center", "aligned"):
        report.done(outcome)
    wanted = "1 center, 1 aligned, 1 no-face, 1 already there, 1 removed, 1 failed"
    assert str(report) == wanted


def test_remarks_stand_in_brackets() -> None:
    report = Report()
    report.done("aligned", 2)
    report.note("a.jpg", "truncated", "its end is missing")
    report.failed("b.jpg", "no image")
    assert str(report) == "2 aligned, 1 failed (1 truncated)" and report.exit_code == 1
