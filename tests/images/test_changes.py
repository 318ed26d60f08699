"""Whether an image is still what it was."""

import io
import os
from pathlib import Path

import pytest

from facetool.files.recordio import RecordWriter
from facetool.images.changes import read_with_state, unchanged
from facetool.images.folder import list_images
from facetool.images.records import ImageRecords, format_record

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


def test_a_record_that_was_only_copied_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    with path.open("wb") as file:
        RecordWriter(file, io.StringIO()).write(1, format_record((0.0, 0.0), 1, b"image"))
    images = ImageRecords(path)
    (name,) = images.names
    data, then = read_with_state(images, name)
    os.utime(path, ns=(LATER, LATER))
    now = unchanged(images, name, then, by_content=False)
    assert data == b"image" and now == then._replace(modified=LATER)
    assert unchanged(images, name, then._replace(sha256="0" * 64), by_content=True) is None
