"""Whether an image is still what it was."""

import os
from pathlib import Path

import pytest

from facetool.images.changes import read_with_state, unchanged
from facetool.images.folder import list_images

LATER = 1_000_000_000_000


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    return path


def test_an_untouched_file_is_unchanged(photo: Path) -> None:
    images = list_images(photo.parent)
    data, then = read_with_state(images, "a.jpg")
    assert data == b"one"
    assert unchanged(images, "a.jpg", then, by_content=False) == then
    assert unchanged(images, "a.jpg", then, by_content=True) == then


def test_another_size_is_a_change(photo: Path) -> None:
    images = list_images(photo.parent)
    _, then = read_with_state(images, "a.jpg")
    photo.write_bytes(b"three")
    assert unchanged(images, "a.jpg", then, by_content=False) is None


@pytest.mark.parametrize(("content", "same"), [(b"one", True), (b"two", False)])
def test_where_only_the_time_differs_the_content_decides(
    photo: Path, content: bytes, same: bool
) -> None:
    images = list_images(photo.parent)
    _, then = read_with_state(images, "a.jpg")
    photo.write_bytes(content)
    os.utime(photo, ns=(LATER, LATER))
    now = unchanged(images, "a.jpg", then, by_content=False)
    assert now == (then._replace(modified=LATER) if same else None)


def test_only_the_content_tells_a_file_replaced_with_its_time_kept(photo: Path) -> None:
    images = list_images(photo.parent)
    os.utime(photo, ns=(LATER, LATER))
    _, then = read_with_state(images, "a.jpg")
    photo.write_bytes(b"two")
    os.utime(photo, ns=(LATER, LATER))
    assert unchanged(images, "a.jpg", then, by_content=False) == then
    assert unchanged(images, "a.jpg", then, by_content=True) is None


def test_a_file_that_is_gone_is_a_change(photo: Path) -> None:
    images = list_images(photo.parent)
    _, then = read_with_state(images, "a.jpg")
    photo.unlink()
    assert unchanged(images, "a.jpg", then, by_content=False) is None
