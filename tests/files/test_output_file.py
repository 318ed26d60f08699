"""What may be written over."""

import os
from pathlib import Path

import pytest

from facetool.errors import UsageError
from facetool.files.output_file import check_folder, check_output, starts_with

OWN = starts_with(b"own", b"mine")


def test_own_files_empty_ones_and_none_may_be_written(tmp_path: Path) -> None:
    for content in (b"own file", b"mine", b""):
        (tmp_path / "a").write_bytes(content)
        check_output(tmp_path / "a", "file", OWN)
    check_output(tmp_path / "new" / "a", "file", OWN)
    check_output(tmp_path, "file", OWN)  # writing says what is wrong
    check_output(Path(os.devnull), "file", OWN)


def test_others_may_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ow")
    (tmp_path / "link").symlink_to("a")
    for name in ("a", "link"):
        with pytest.raises(UsageError, match=rf"{name} is there and is no file; choose another"):
            check_output(tmp_path / name, "file", OWN)


def test_inputs_may_not_under_any_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"own")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    for path in (tmp_path / "a", tmp_path / "link", tmp_path / "hard"):
        with pytest.raises(UsageError, match="is an input of this command"):
            check_output(path, "file", OWN, inputs=[tmp_path / "none", tmp_path / "a"])
    absent = tmp_path / "b" / ".." / "absent"
    with pytest.raises(UsageError, match="is an input of this command"):
        check_output(absent, "file", OWN, inputs=[tmp_path / "absent"])


def test_a_folder_that_is_an_input(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    check_folder(tmp_path / "inside", tmp_path)
    with pytest.raises(UsageError, match="link is an input of this command"):
        check_folder(tmp_path / "link", tmp_path / "new", tmp_path)
