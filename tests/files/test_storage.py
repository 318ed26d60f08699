"""Files that several writers create in a folder."""

import os
from pathlib import Path

import pytest

from facetool.files.storage import FolderStorage


@pytest.mark.parametrize("lacking", [None, "unnamed files", "links"])
def test_the_first_creates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str | None
) -> None:
    if lacking == "unnamed files":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if lacking == "links":

        def no_links(*_: object, **__: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", no_links)
    storage = FolderStorage(tmp_path / "out")
    assert storage.create("plans/plan.json", b"first")
    assert not storage.create("plans/plan.json", b"second")
    assert storage.read("plans/plan.json") == b"first"
    assert storage.names("plans") == {"plan.json"}


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no unnamed files here")
def test_whoever_is_killed_while_creating_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FolderStorage(tmp_path)
    seen = []
    monkeypatch.setattr(os, "link", lambda *_, **__: seen.append(list(tmp_path.iterdir())))
    assert storage.create("plan.json", b"x")
    assert seen == [[]]
