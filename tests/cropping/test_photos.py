from pathlib import Path

import numpy as np
import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cropping import photos as stage
from facetool.cropping.photos import PhotoCrops, crop_photos


@pytest.fixture(scope="module")
def photos(album: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    bad = tmp_path_factory.mktemp("bad") / "bad.jpg"
    bad.write_bytes(b"no image")
    good = sorted(album.glob("*/*.jpg"))
    return [*good[:7], bad, *good[7:]]


@pytest.mark.slow
def test_workers_find_what_one_process_finds(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pooled = list(crop_photos(photos, DLIB_CHIP, "largest"))
    monkeypatch.setattr(stage, "_POOL_FROM", len(photos) + 1)
    alone = list(crop_photos(photos, DLIB_CHIP, "largest"))
    assert [photo.path for photo in pooled] == photos
    for ours, theirs in zip(pooled, alone, strict=True):
        assert (ours.path, ours.error) == (theirs.path, theirs.error)
        assert [face for face, _ in ours.faces] == [face for face, _ in theirs.faces]
        for (_, our_image), (_, their_image) in zip(ours.faces, theirs.faces, strict=True):
            assert np.array_equal(our_image, their_image)
    assert sum(len(photo.faces) for photo in pooled) >= 22
    assert pooled[7] == PhotoCrops(photos[7], [], pooled[7].error)
    assert "not an image" in pooled[7].error


@pytest.mark.slow
def test_workers_end_with_whoever_takes_no_more(photos: list[Path]) -> None:
    cropped = crop_photos(photos, DLIB_CHIP, "largest")
    assert next(cropped).path == photos[0]
    cropped.close()
    assert list(cropped) == []
