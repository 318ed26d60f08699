"""``inputs.csv``."""

from pathlib import Path

import pytest

from facetool.errors import FormatError
from facetool.files.image_states import INPUTS_CSV, ImageState, read_states, write_states

STATES = {
    "Ada/1.jpg": ImageState(7, 1_700_000_000_000_000_001, "ab" * 32),
    'odd, "name"\r\n.jpg': ImageState(0, 0),
    "\udcff.jpg": ImageState(1, 2, ""),
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_states(tmp_path, STATES.items())
    assert read_states(tmp_path) == STATES


def test_a_folder_without_the_file_says_nothing(tmp_path: Path) -> None:
    assert read_states(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "input,size\n",
        "input,size,modified,sha256\na,b,c,d\n",
        "input,size,modified,sha256\na,1\n",
    ],
)
def test_damage_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / INPUTS_CSV).write_text(text)
    with pytest.raises(FormatError, match=r"inputs\.csv, line \d"):
        read_states(tmp_path)
