"""Photos are searched together, and one that cannot be searched costs no other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cropping import photo_cropper
from facetool.cropping.face_cropper import FaceCropper
from facetool.cropping.photo_cropper import ALIGNMENT, DETECTION, READING, PhotoCropper
from facetool.detection.face import Face
from facetool.images.folder import ImageFolder
from facetool.images.read import TRUNCATED, RGBImage, read_image
from facetool.jobs.stopwatch import Stopwatch


class Cropper(FaceCropper):
    """Notes how many photos it gets at once; refuses one by its size, and to cut another."""

    batches: list[int]
    refused: tuple[int, ...] = ()
    uncut: tuple[int, ...] = ()

    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        self.batches.append(len(images))
        if any(image.shape[:2] == self.refused for image in images):
            raise RuntimeError("odd photo\nat line 12")
        return super().detect(images)

    def cut(self, image: RGBImage, landmarks: np.ndarray) -> RGBImage:
        if image.shape[:2] == self.uncut:
            raise MemoryError
        return super().cut(image, landmarks)


@pytest.fixture
def cropper() -> Cropper:
    cropper = Cropper(DLIB_CHIP)
    cropper.batches = []
    return cropper


@pytest.fixture
def photos(album: Path, tmp_path: Path) -> ImageFolder:
    """Four photos, a file that is none, and a cut photo."""
    files = sorted(album.glob("*/*.jpg"))[:4]
    names = []
    for number, file in enumerate(files):
        names.append(f"{number}.jpg")
        (tmp_path / names[-1]).write_bytes(file.read_bytes())
    (tmp_path / "bad.jpg").write_text("no")
    (tmp_path / "cut.jpg").write_bytes(files[0].read_bytes()[:-200])
    return ImageFolder(tmp_path, (*names, "bad.jpg", "cut.jpg"))


@pytest.mark.slow
def test_photos_are_searched_together_and_timed(photos: ImageFolder, cropper: Cropper) -> None:
    watch = Stopwatch()
    cropped = list(PhotoCropper(photos, cropper).crop(photos.names, watch))
    assert [photo.name for photo in cropped] == list(photos.names)
    assert cropper.batches == [5]
    assert [bool(photo.error) for photo in cropped] == [False] * 4 + [True, False]
    assert cropped[-1].remarks == [TRUNCATED]
    assert all(photo.image is None for photo in cropped)
    for photo in cropped[:4]:
        expected = cropper.crops(read_image(photos.root / photo.name))
        assert len(expected) == len(photo.crops) == len(photo.located.faces)
        for ours, theirs in zip(photo.crops, expected, strict=True):
            assert np.array_equal(ours, theirs.image)
    assert {READING, DETECTION, ALIGNMENT} == set(watch.seconds)
    assert all(seconds > 0 for seconds in watch.seconds.values())


@pytest.mark.slow
def test_a_number_of_pixels_is_held(
    photos: ImageFolder, cropper: Cropper, monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width = read_image(photos.root / "0.jpg").shape[:2]
    monkeypatch.setattr(photo_cropper, "_BATCH_PIXELS", height * width)
    list(PhotoCropper(photos, cropper).crop(photos.names[:3], Stopwatch()))
    assert cropper.batches == [1, 1, 1]


def test_after_an_error_photos_are_searched_one_by_one(
    photos: ImageFolder, cropper: Cropper
) -> None:
    image = read_image(photos.root / "1.jpg")
    Image.fromarray(image[:100, :90]).save(photos.root / "1.jpg")
    cropper.refused = (100, 90)
    cropped = list(PhotoCropper(photos, cropper).crop(photos.names[:4], Stopwatch()))
    assert cropper.batches == [4, 1, 1, 1, 1]
    assert [photo.error for photo in cropped] == [
        "",
        "cannot be aligned: odd photo at line 12",
        "",
        "",
    ]
    assert cropped[1].state is not None


def test_a_photo_that_cannot_be_cut_costs_no_other(photos: ImageFolder, cropper: Cropper) -> None:
    shape = read_image(photos.root / "0.jpg").shape
    cropper.uncut = shape[:2]
    cropped = list(PhotoCropper(photos, cropper).crop(photos.names[:1], Stopwatch()))
    assert [photo.error for photo in cropped] == ["cannot be aligned: MemoryError"]


def test_strict_refuses_what_lacks_its_end(photos: ImageFolder, cropper: Cropper) -> None:
    (photo,) = PhotoCropper(photos, cropper, strict=True).crop(["cut.jpg"], Stopwatch())
    assert (photo.error, photo.remarks, photo.crops) == (TRUNCATED, [], [])
    assert photo.state is not None
    assert cropper.batches == []
