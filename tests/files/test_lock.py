"""Two runs must not write into one folder."""

import errno
import sys
from pathlib import Path

import pytest

from facetool.errors import UsageError
from facetool.files import lock
from facetool.files.lock import sole_writer
from facetool.jobs.progress import Progress, follow

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no flock there")


@pytest.mark.parametrize("name", ["out", "not/there/yet"])
def test_a_second_writer_is_turned_away(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    with sole_writer(out), pytest.raises(UsageError, match="another facetool"), sole_writer(out):
        pass
    with sole_writer(out):
        pass
    assert list(out.iterdir()) == []


def test_a_name_that_is_gone_or_of_another_leads_to_no_open_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("w") as file:
        assert lock.is_same_file(file.fileno(), path)
        path.unlink()
        assert not lock.is_same_file(file.fileno(), path)
        path.touch()
        assert not lock.is_same_file(file.fileno(), path)


def test_where_files_cannot_be_locked_it_is_said_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    remarks = []

    class Listener(Progress):
        def remark(self, name: str, text: str) -> None:
            remarks.append(text)

    with follow(Listener()), sole_writer(tmp_path):
        pass
    (remark,) = remarks
    assert remark.startswith("files cannot be locked there")


def test_a_lock_file_that_its_holder_removed_protects_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking it, the last holder may have gone."""
    path = tmp_path / ".facetool.lock"
    answers = iter([False, True])

    def removed_once(descriptor: int, name: Path) -> bool:
        if same := next(answers):
            return same
        path.unlink()
        return same

    monkeypatch.setattr(lock, "is_same_file", removed_once)
    with sole_writer(tmp_path):
        assert path.exists()
    assert next(answers, None) is None
