"""What is said of files that are no photos and no lists of them."""

import tarfile
from pathlib import Path

import pytest

from facetool.errors import UsageError
from facetool.images.inputs import list_photos

LONG = "x" * 5000


@pytest.mark.parametrize("content", ["archive", LONG])
def test_a_tar_archive_is_for_embed(tmp_path: Path, content: str) -> None:
    path = tmp_path / "photos.tar"
    if content == "archive":
        with tarfile.open(path, "w") as archive:
            archive.add(__file__, "a.jpg")
    else:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"photos\.tar is a tar archive, which facetool embed"):
        list_photos(path)


def test_lines_too_long_for_a_path_are_paths_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = tmp_path / "list.txt"
    listed.write_text(f"{LONG}\n")
    with pytest.raises(UsageError, match=r"nothing of what .*list\.txt lists is there"):
        list_photos(listed)
    (tmp_path / "a.jpg").touch()
    for there in ("a.jpg", str(tmp_path / "a.jpg")):
        listed.write_text(f"{there}\n{LONG}.jpg\n")
        found = list_photos(listed)
        assert [name.rpartition("/")[2] for name in found.names] == ["a.jpg", f"{LONG}.jpg"]
