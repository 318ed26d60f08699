"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from facetool.errors import OutputError
from facetool.files.atomic import atomic_write, part_path


def test_the_name_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with atomic_write(target, "w") as file:
        file.write("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert not part_path(target).exists()


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(target, "w") as file:
        file.write("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_line() -> None:
    with (
        pytest.raises(OutputError, match=r"cannot write .*: "),
        atomic_write(Path("/dev/full/x")) as file,
    ):
        file.write(b"x")
