"""Files reach the disk before their names do."""

import errno
import os
from pathlib import Path

import pytest

from facetool.errors import OutputError
from facetool.files.atomic import atomic_write, part_path
from facetool.files.durable import ends_with, sync_file_system


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files and folders that go to the disk, and of those that are renamed."""
    made: list[str] = []
    fsync, rename = os.fsync, os.replace

    def record(descriptor: int) -> None:
        made.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        made.append("rename " + self.name)
        rename(self, target)
        return target

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(Path, "replace", replace)
    return made


linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files have names in /proc")


@linux
def test_content_then_name_then_folder(tmp_path: Path, calls: list[str]) -> None:
    with atomic_write(tmp_path / "x") as file:
        file.write(b"1")
    assert calls == ["sync .x.part", "rename .x.part", f"sync {tmp_path.name}"]


@linux
def test_many_small_files_are_left_to_their_writer(tmp_path: Path, calls: list[str]) -> None:
    with atomic_write(tmp_path / "x", durable=False) as file:
        file.write(b"1")
    assert calls == ["rename .x.part"]
    sync_file_system(tmp_path)


def test_a_disk_that_says_only_now_that_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"), atomic_write(tmp_path / "x"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_mount_that_cannot_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def cannot(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", cannot)
    with atomic_write(tmp_path / "x") as file:
        file.write(b"1")
    assert (tmp_path / "x").read_bytes() == b"1"
    assert not part_path(tmp_path / "x").exists()


@linux
@pytest.mark.parametrize(("platform", "everything"), [("linux", 0), ("darwin", 1), ("win32", 0)])
def test_only_where_one_disk_cannot_be_named_all_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, everything: int
) -> None:
    made: list[int] = []
    monkeypatch.setattr(os, "sync", lambda: made.append(1))
    monkeypatch.setattr("sys.platform", platform)
    sync_file_system(tmp_path)
    assert len(made) == everything


def test_ends_of_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert not ends_with(path, b"ab")
    for content, whole in ((b"", False), (b"b", False), (b"ab", True), (b"abab", True)):
        path.write_bytes(content)
        assert ends_with(path, b"ab") is whole
