"""dlib's landmarks on the faces of other detectors: as on hog's own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.alignment.recipes import DLIB_CHIP, OPENFACE_OUTER, Crop
from facetool.cropping.face_cropper import FaceCrop, FaceCropper
from facetool.detection.options import DetectionSettings
from facetool.embedding.embedder import Embedder
from facetool.images.read import RGBImage, read_image
from facetool.weights.load import load_network

EYES = {5: (2, 0), 68: (36, 45)}
"""Rows of the outer corners."""


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[RGBImage]:
    """A colour photo of each of ten people, and some grey ones."""
    colour = sorted((shared / "photos" / "lfw-colour").glob("*/*_0001.jpg"))
    grey = sorted((shared / "lfw-a" / "images").glob("C*/*_0001.jpg"))[::40]
    return [read_image(path) for path in [*colour, *grey]]


def settings(shared: Path, detector: str) -> DetectionSettings:
    files = {"scrfd": "scrfd_2.5g_bnkps.onnx", "yunet": "yunet_n_320_320.onnx"}
    file = files.get(detector)
    return DetectionSettings(weights=shared / "weights" / file if file else None)


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["mtcnn", "scrfd", "yunet"])
@pytest.mark.parametrize("crop", [DLIB_CHIP, OPENFACE_OUTER], ids=["chip", "openface"])
def test_landmarks_are_those_in_hogs_box(
    shared: Path, photos: list[RGBImage], detector: str, crop: Crop
) -> None:
    original = FaceCropper(crop, select="center")
    other = FaceCropper(
        replace(crop, detector=detector), settings(shared, detector), select="center"
    )
    errors = []
    for image in photos:
        (hog,) = original.locate(image, original.detect([image])[0]).faces
        (found,) = other.locate(image, other.detect([image])[0]).faces
        left, right = (hog.landmarks[row] for row in EYES[len(hog.landmarks)])
        shift = np.linalg.norm(found.landmarks - hog.landmarks, axis=1).mean()
        errors.append(shift / np.linalg.norm(left - right))
    # In the detectors' own boxes the medians are 0.017 to 0.027.
    assert np.median(errors) < (0.009 if crop == DLIB_CHIP else 0.015)
    assert np.quantile(errors, 0.9) < 0.04


@pytest.mark.slow
def test_embeddings_are_those_of_hogs_crops(shared: Path, photos: list[RGBImage]) -> None:
    def crops(cropper: FaceCropper) -> list[FaceCrop]:
        return [face for image in photos for face in cropper.crops(image)]

    hog = crops(FaceCropper(DLIB_CHIP, select="center"))
    yunet = crops(
        FaceCropper(
            replace(DLIB_CHIP, detector="yunet"), settings(shared, "yunet"), select="center"
        )
    )
    assert len(hog) == len(yunet) == len(photos)
    embedder = Embedder(load_network("dlib-resnet"), torch.device("cpu"))
    both = embedder.embed(np.stack([face.image for face in [*hog, *yunet]]))
    distances = np.linalg.norm(both[: len(hog)] - both[len(hog) :], axis=1)
    # The same person's photos may differ by 0.6.
    assert np.median(distances) < 0.06
    assert distances.max() < 0.3
