"""Files appear whole or not at all."""

import sys
from pathlib import Path

import pytest

from facetool.errors import OutputError
from facetool.files import atomic
from facetool.files.atomic import atomic_write, part_path


def test_the_name_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with atomic_write(target, "w") as file:
        file.write("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert not part_path(target).exists()
    beside = target.with_name("beside.txt")
    beside.write_text("as other programs write")
    assert target.stat().st_mode == beside.stat().st_mode


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


def test_several_may_write_one_file_at_the_same_time(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with atomic_write(target, "w") as first:
        first.write("first, ")
        first.flush()
        with atomic_write(target, "w") as second:
            second.write("second, whole")
        assert target.read_text() == "second, whole"
        first.write("whole")
    assert target.read_text() == "first, whole"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    part_path(target).write_text("half of something long")
    with atomic_write(target, "w") as file:
        file.write("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_where_files_cannot_be_locked_names_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "try_to_lock", lambda descriptor: None)
    target = tmp_path / "file.txt"
    with atomic_write(target, "w") as first, atomic_write(target, "w") as second:
        first.write("first")
        second.write("second")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(sys.platform == "win32", reason="no devices there")
def test_a_device_is_written_to_and_not_replaced() -> None:
    with atomic_write(Path("/dev/null"), "w") as file:
        file.write("nothing")
    assert Path("/dev/null").is_char_device()
