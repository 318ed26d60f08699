"""Two runs must not write into one folder."""

import sys
from pathlib import Path

import pytest

from facetool.errors import UsageError
from facetool.files.lock import sole_writer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no flock there")


def test_a_second_writer_is_turned_away(tmp_path: Path) -> None:
    held = sole_writer(tmp_path / "out")
    with held, pytest.raises(UsageError, match="another facetool"), sole_writer(tmp_path / "out"):
        pass
    with sole_writer(tmp_path / "out"):
        pass
    assert list((tmp_path / "out").iterdir()) == []
