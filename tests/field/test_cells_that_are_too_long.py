"""Tables whose cells Python's csv refuses are damaged files like any other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from facetool.errors import FormatError
from facetool.evaluation.pairs import read_pairs
from facetool.evaluation.published_curves import read_curve
from facetool.files.align_manifest import ALIGN_COLUMNS, ALIGN_CSV, read_manifest
from facetool.files.given_names import read_given_names
from facetool.files.image_states import INPUTS_CSV, read_states

LONG = "x" * 200_000
"""Longer than the 131,072 letters that the csv module reads."""

READERS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "names": ("names.csv", "name,image\nAda,", read_given_names),
    "pairs": ("pairs.csv", "a,b,1\nc,", read_pairs),
    "published curve": ("curve.csv", "fpr,tpr\n0,", read_curve),
    "crops": (
        ALIGN_CSV,
        ",".join(ALIGN_COLUMNS) + "\n",
        lambda path: list(read_manifest(path)),
    ),
    "photos": (INPUTS_CSV, "name,size,modified,sha256\n", lambda path: read_states(path.parent)),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_cell_that_is_too_long_is_one_line(kind: str, tmp_path: Path) -> None:
    name, start, read = READERS[kind]
    path = tmp_path / name
    path.write_text(start + LONG)
    with pytest.raises(FormatError) as raised:
        read(path)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300
