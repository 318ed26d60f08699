"""JSON objects out of text: what is none is one line that says whose text it was."""

import pytest

from facetool.errors import FormatError
from facetool.files.json_file import parse_json


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "line 1: not JSON"),
        (b'{"a": 1,\n}', "line 2: not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[1]", "expected a JSON object, found list"),
        (b'{"a": ' + b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 400 + b"}", "not JSON (a whole number of 400 digits)"),
        (b'{"a": ' + b"9" * 9000 + b"}", "not JSON (a whole number of 9,000 digits)"),
    ],
)
def test_what_is_no_object_is_one_line(text: bytes, reason: str) -> None:
    with pytest.raises(FormatError) as raised:
        parse_json(text, "a.json")
    message = str(raised.value)
    assert message.startswith("a.json") and reason in message and "\n" not in message


def test_whole_numbers_of_64_bits() -> None:
    least, most = -(2**63), 2**64 - 1
    assert parse_json(f'{{"a": {least}, "b": {most}}}', "") == {"a": least, "b": most}
