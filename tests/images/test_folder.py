"""Image folders: order, hidden files, links, excluded and unreadable subfolders."""

import os
from pathlib import Path

import pytest

from facetool.errors import UsageError
from facetool.images.folder import list_images, list_paths


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_all_depths_in_sorted_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.png", "b/1.JPG", "a.webp", "c/d/e/f.tiff", "b/notes.txt", "align.csv")
    assert list_images(tmp_path).names == ("a.webp", "b/1.JPG", "b/2.png", "c/d/e/f.tiff")


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a/.x.png.part", "a/.y.png", ".cache/z.png", "a/k.png")
    assert list_images(tmp_path).names == ("a/k.png",)


def test_names_with_spaces_and_other_scripts(tmp_path: Path) -> None:
    touch(tmp_path, "José María/no 1.jpg", "李/雷.png")
    assert set(list_images(tmp_path).names) == {"José María/no 1.jpg", "李/雷.png"}


def test_an_output_inside_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "out/a/1.png")
    assert list_images(tmp_path, exclude=tmp_path / "out").names == ("a/1.png",)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a/1.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "photos")
    (root / "loop").symlink_to(root)
    assert list_images(root).names == ("linked/a/1.png",)


def test_a_link_to_itself_fails_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "a/2.png").symlink_to("2.png")
    (tmp_path / "a/itself").symlink_to("itself")
    found = list_images(tmp_path)
    assert found.names == ("a/1.png", "a/2.png")  # reading it says why
    assert [name for name, _ in found.unreadable] == ["a/itself"]
    assert "cannot be read" in found.unreadable[0][1]


def test_a_listed_name_that_no_file_can_have_fails_alone(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    long = 5000 * "x"
    found = list_paths(tmp_path, ["1.png", long, f"{long}.png"])
    assert found.names == ("1.png", f"{long}.png")
    assert [name for name, _ in found.unreadable] == [long]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may list every folder")
def test_an_unreadable_folder_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "b").chmod(0)
    try:
        found = list_images(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o700)
    assert found.names == ("a/1.png",)
    assert found.unreadable[0][0] == "b"


def test_an_unlistable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")
    real = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "b":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list_images(tmp_path).unreadable == (("b", "cannot be listed: Permission denied"),)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    with pytest.raises(UsageError, match="not a folder"):
        list_images(tmp_path / "a.png")
