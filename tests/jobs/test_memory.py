"""How much memory is left, in a container and outside of one."""

from pathlib import Path

import pytest

from facetool.jobs import memory


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:   64 kB\n")
    monkeypatch.setattr(memory, "_SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path)
    return tmp_path


def test_what_the_system_says(system: Path) -> None:
    assert memory.available_memory() == 64 * 1024
    (system / "memory.max").write_text("max\n")
    (system / "memory.current").write_text("1000\n")
    assert memory.available_memory() == 64 * 1024


def test_a_container_may_allow_less(system: Path) -> None:
    (system / "memory.max").write_text("4000\n")
    (system / "memory.current").write_text("1000\n")
    assert memory.available_memory() == 3000


def test_systems_that_do_not_tell(system: Path) -> None:
    (system / "meminfo").unlink()
    assert memory.available_memory() is None
