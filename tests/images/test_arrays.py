"""What a caller gives in place of an image or of crops."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import facetool
from facetool.alignment.crop import cut_face
from facetool.alignment.recipes import DLIB_CHIP
from facetool.errors import UsageError
from facetool.images.read import read_image

GOOD = np.zeros((40, 50, 3), np.uint8)
IMAGES: list[Any] = [
    GOOD.astype(np.float32) / 255,
    GOOD.astype(np.int64),
    GOOD[:, :, 0],
    np.zeros((40, 50, 4), np.uint8),
    np.zeros((0, 50, 3), np.uint8),
    GOOD[None],
    "photo.jpg",
]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: str(getattr(image, "shape", image)))
def test_what_is_no_image_is_refused(image: Any) -> None:
    found = facetool.FaceCropper(DLIB_CHIP)
    with pytest.raises(UsageError, match=r"^an image is uint8 \(H, W, 3\), RGB 0…255, not "):
        found.crops(image)
    with pytest.raises(UsageError, match="not "):
        facetool.create_detector("hog").detect([image])
    with pytest.raises(UsageError, match="not "):
        cut_face(image, np.zeros((5, 2)), DLIB_CHIP)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_what_are_no_crops_of_the_network_is_refused(crops: Path) -> None:
    embedder = facetool.Embedder(facetool.load_network("dlib-resnet"), "cpu")
    good = read_image(min(crops.glob("*/*.png")))[None]
    assert embedder.embed(good).shape == embedder.embed_all(good).shape == (1, 128)
    assert embedder.embed(good[:0]).shape == (0, 128)
    mirrored = np.ascontiguousarray(good[:, :, ::-1])
    assert np.array_equal(embedder.embed(good[:, :, ::-1]), embedder.embed(mirrored))
    bad: list[Any] = [
        good / 255.0,
        good.astype(np.int32),
        good[0],
        good[:, :112, :112],
        np.repeat(np.repeat(good, 2, axis=1), 2, axis=2),
        np.full(good.shape, np.nan, np.float32),
        None,
    ]
    for one in bad:
        with pytest.raises(UsageError, match=r"uint8 \(N, 150, 150, 3\)"):
            embedder.embed(one)
    with pytest.raises(UsageError, match=r"facetool\.FaceCropper"):
        embedder.embed_all(bad[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "view",
    [
        lambda pixels: pixels[..., ::-1].copy()[..., ::-1],
        lambda pixels: np.asfortranarray(pixels),
        lambda pixels: np.pad(pixels, ((5, 5), (5, 5), (0, 0)))[5:-5, 5:-5],
        lambda pixels: pixels[::-1].copy()[::-1],
    ],
    ids=["BGR turned round", "columns first", "cut out", "upside down"],
)
def test_views_are_the_images_that_they_show(
    album: Path, view: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    """dlib read them as something else: no face in every other call, and no landmarks."""
    detector, cropper = facetool.create_detector("hog"), facetool.FaceCropper(DLIB_CHIP)
    for path in sorted(album.rglob("*.jpg"))[:3]:
        pixels = read_image(path)
        seen = view(pixels)
        assert not seen.flags.c_contiguous and np.array_equal(seen, pixels)
        wanted = cropper.crops(pixels)
        assert wanted
        for _ in range(2):
            (boxes,) = ([face.box for face in faces] for faces in detector.detect([seen]))
            assert boxes == [face.box for face in detector.detect([pixels])[0]]
            for found, expected in zip(cropper.crops(seen), wanted, strict=True):
                assert np.array_equal(found.image, expected.image)
