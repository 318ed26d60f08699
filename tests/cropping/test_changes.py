"""What ``align`` does again, and what it leaves, after the photos have changed."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facetool.cropping.changes import PhotoChanges, kept_crops
from facetool.files.align_description import AlignDescription, write_align_description
from facetool.files.align_journal import AlignedPhoto
from facetool.files.align_manifest import AlignRow, write_manifest
from facetool.images.changes import read_with_state
from facetool.images.folder import list_images
from facetool.images.read import TRUNCATED

SETTINGS = AlignDescription(crop={"width": 150}, on_no_face="skip")
LATER = 1_000_000_000_000


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("Ada/1.jpg", "2.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "photos"


def changes(photos: Path, **options: Any) -> PhotoChanges:
    images = list_images(photos)
    under = options.get("under", "")
    prefix = f"{under}/" if under else ""
    crops = {prefix + name: prefix + name.removesuffix(".jpg") for name in images.names}
    return PhotoChanges(**{"images": images, "crops": crops, "settings": SETTINGS, **options})


def aligned(photos: Path, name: str, **row: Any) -> AlignedPhoto:
    _, state = read_with_state(list_images(photos), name)
    made = AlignRow(name, "aligned", output=name.replace("jpg", "png"))
    return AlignedPhoto([made._replace(**row)], state)


def test_a_photo_as_it_was_is_kept(photos: Path) -> None:
    photo = aligned(photos, "Ada/1.jpg")
    assert changes(photos).keep(photo, SETTINGS) == photo


def test_a_replaced_photo_is_done_again_and_said(photos: Path) -> None:
    photo = aligned(photos, "2.jpg")
    (photos / "2.jpg").write_bytes(b"another photo")
    found = changes(photos)
    assert found.keep(photo, SETTINGS) is None
    assert (found.replaced, found.gone) == (["2.jpg"], {})


@pytest.mark.parametrize(("by_content", "kept"), [(False, True), (True, False)])
def test_a_photo_replaced_with_its_time_kept(photos: Path, by_content: bool, kept: bool) -> None:
    os.utime(photos / "2.jpg", ns=(LATER, LATER))
    photo = aligned(photos, "2.jpg")
    (photos / "2.jpg").write_bytes(b"X.jpg")
    os.utime(photos / "2.jpg", ns=(LATER, LATER))
    assert (changes(photos, by_content=by_content).keep(photo, SETTINGS) is not None) == kept


def test_a_photo_touched_but_the_same_is_kept_with_its_new_time(photos: Path) -> None:
    photo = aligned(photos, "2.jpg")
    os.utime(photos / "2.jpg", ns=(LATER, LATER))
    kept = changes(photos).keep(photo, SETTINGS)
    assert kept is not None and kept.state is not None
    assert kept.state.modified == LATER


@pytest.mark.parametrize("keep_gone", [False, True])
def test_a_photo_that_is_gone(photos: Path, keep_gone: bool) -> None:
    photo = aligned(photos, "2.jpg")
    (photos / "2.jpg").unlink()
    found = changes(photos, keep_gone=keep_gone)
    assert found.keep(photo, SETTINGS) == (photo if keep_gone else None)
    assert found.gone == {"2.jpg": 1}


def test_photos_in_a_folder_that_cannot_be_listed_are_not_gone(photos: Path) -> None:
    photo = aligned(photos, "Ada/1.jpg")
    images = replace(list_images(photos), names=(), unreadable=(("Ada", "no permission"),))
    (photos / "Ada" / "1.jpg").unlink()
    assert changes(photos, images=images, crops={}).keep(photo, SETTINGS) == photo


@pytest.mark.parametrize("status", ["no-face", "center", "fallback"])
def test_what_was_missed_is_tried_again_with_another_policy(photos: Path, status: str) -> None:
    photo = aligned(photos, "2.jpg", status=status)
    found = changes(photos)
    assert found.keep(photo, SETTINGS) == photo
    assert found.keep(photo, replace(SETTINGS, on_no_face="center")) is None
    face = aligned(photos, "2.jpg")
    assert found.keep(face, replace(SETTINGS, on_no_face="center")) == face


def test_truncated_photos_are_tried_again_with_another_policy(photos: Path) -> None:
    photo = aligned(photos, "2.jpg", reason=TRUNCATED)
    assert changes(photos).keep(photo, replace(SETTINGS, strict=True)) is None


def test_failed_photos_and_those_of_unknown_state_are_done_again(photos: Path) -> None:
    photo = aligned(photos, "2.jpg")
    assert changes(photos).keep(photo._replace(state=None), SETTINGS) is None
    assert changes(photos).keep(aligned(photos, "2.jpg", status="failed"), SETTINGS) is None


def test_a_photo_whose_crop_has_another_name_now_is_done_again(photos: Path) -> None:
    photo = aligned(photos, "2.jpg")
    crops = {"2.jpg": "2.jpg", "2.bmp": "2.bmp"}
    assert changes(photos, crops=crops).keep(photo, SETTINGS) is None


def test_crops_of_other_inputs_are_left_alone(photos: Path) -> None:
    second = aligned(photos, "2.jpg", input="album/2.jpg", output="album/2.png")
    gone = second._replace(rows=[second.rows[0]._replace(input="album/3.jpg")])
    assert changes(photos, others=["album"]).keep(gone, SETTINGS) == gone
    assert changes(photos, under="album").keep(second, SETTINGS) == second
    assert changes(photos, under="album").keep(gone, SETTINGS) is None
    first = aligned(photos, "2.jpg")
    (photos / "2.jpg").unlink()
    assert changes(photos, under="album").keep(first, SETTINGS) == first


@pytest.mark.parametrize(("keep_gone", "kept"), [(False, ["Eve/1"]), (True, ["3", "Eve/1"])])
@pytest.mark.parametrize("under", ["", "album"])
def test_crops_that_stay_without_their_photos(
    photos: Path, tmp_path: Path, under: str, keep_gone: bool, kept: list[str]
) -> None:
    """Eve's folder cannot be listed, the third photo is gone."""
    names = ["2", "3", "Ada/1", "Eve/1"]
    if under:
        names = [f"{under}/{name}" for name in names]
        inputs = {under: str(photos)}
        write_align_description(tmp_path, replace(SETTINGS, inputs=inputs))
    rows = [AlignRow(f"{name}.jpg", "aligned", output=f"{name}.png") for name in names]
    write_manifest(tmp_path, [*rows, AlignRow("x.jpg", "no-face")])
    images = replace(list_images(photos), unreadable=(("Eve", "no permission"),))
    assert kept_crops(images, tmp_path, images.names, under, keep_gone=keep_gone) == kept
