"""SCRFD and RetinaFace against onnxruntime and a plain reading of its outputs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.detection.options import MapOptions
from facetool.detection.scrfd import SCRFD_STRIDES, RetinaFaceDetector, ScrfdDetector
from facetool.errors import FormatError, WeightsError
from facetool.images.read import RGBImage, read_image
from facetool.sample.album import draw_image
from tests.detection.anchor_graph import write_anchor_graph
from tests.detection.reference import AnchorReference, as_array

OPTIONS = MapOptions(min_score=0.5, max_overlap=0.4)
KINDS = {"scrfd": ScrfdDetector, "retinaface": RetinaFaceDetector}


@pytest.fixture(scope="module")
def scrfd_file(shared: Path) -> Path:
    return shared / "weights" / "scrfd_2.5g_bnkps.onnx"


@pytest.fixture(scope="module")
def scrfd(scrfd_file: Path) -> ScrfdDetector:
    return ScrfdDetector(OPTIONS, [scrfd_file])


@pytest.fixture(scope="module")
def drawn() -> list[RGBImage]:
    """Drawn people in images of three sizes."""
    images = [draw_image(seed=3, person=person, image=0)[0] for person in range(3)]
    return [images[0], images[1][:200], np.tile(images[2], (2, 1, 1))[:, :190]]


def colour_photos(shared: Path) -> list[Path]:
    return sorted((shared / "photos" / "lfw-colour").rglob("*.jpg"))


@pytest.mark.slow
def test_faces_of_scrfd_are_the_originals(
    shared: Path, scrfd_file: Path, scrfd: ScrfdDetector
) -> None:
    grey = sorted((shared / "lfw-a" / "images").glob("A*/*_0001.jpg"))
    examples = sorted((shared / "photos" / "examples").glob("c*.jpg"))
    photos = [read_image(path) for path in [*colour_photos(shared)[::8], *grey[::50], *examples]]
    reference = AnchorReference(scrfd_file, SCRFD_STRIDES["scrfd"], OPTIONS)
    count = 0
    for image, faces in zip(photos, scrfd.detect(photos), strict=True):
        expected = reference.detect(image)
        assert len(faces) == len(expected)
        np.testing.assert_allclose(as_array(faces), expected, atol=0.01)
        count += len(faces)
    assert len(photos) >= 20
    assert count >= len(photos)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "anchors", "points", "batched"),
    [
        ("retinaface", 1, True, False),
        ("retinaface", 1, False, False),
        ("scrfd", 2, False, False),
        ("scrfd", 2, True, True),
    ],
)
def test_faces_of_every_kind_of_file(
    tmp_path: Path, drawn: list[RGBImage], kind: str, anchors: int, points: bool, batched: bool
) -> None:
    file, plain = tmp_path / "batched.onnx", tmp_path / "plain.onnx"
    write_anchor_graph(file, SCRFD_STRIDES[kind], anchors, points=points, batched=batched)
    write_anchor_graph(plain, SCRFD_STRIDES[kind], anchors, points=points)
    detector = KINDS[kind](OPTIONS, [file])
    reference = AnchorReference(plain, SCRFD_STRIDES[kind], OPTIONS)
    count = 0
    for image, faces in zip(drawn, detector.detect(drawn), strict=True):
        np.testing.assert_allclose(as_array(faces), reference.detect(image), atol=0.01)
        assert all((face.landmarks is not None) == points for face in faces)
        count += len(faces)
    assert count >= 10


def test_a_batch_of_many_sizes_is_one_by_one(tmp_path: Path, drawn: list[RGBImage]) -> None:
    file = tmp_path / "retinaface.onnx"
    write_anchor_graph(file, SCRFD_STRIDES["retinaface"])
    detector = RetinaFaceDetector(OPTIONS, [file])
    images = [*drawn, drawn[0][::-1], drawn[1][:, ::-1], drawn[0]]
    together = detector.detect(images)
    for image, faces in zip(images, together, strict=True):
        (alone,) = detector.detect([image])
        np.testing.assert_allclose(as_array(faces), as_array(alone), atol=0.002)
    assert detector.detect([]) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_the_same(scrfd_file: Path, scrfd: ScrfdDetector, shared: Path) -> None:
    photos = [read_image(path) for path in colour_photos(shared)]
    on_gpu = ScrfdDetector(OPTIONS, [scrfd_file], "cuda")
    for faces, expected in zip(on_gpu.detect(photos), scrfd.detect(photos), strict=True):
        np.testing.assert_allclose(as_array(faces), as_array(expected), atol=0.5)


def test_other_files_are_refused_in_one_line(tmp_path: Path, shared: Path) -> None:
    retinaface = tmp_path / "retinaface.onnx"
    write_anchor_graph(retinaface, SCRFD_STRIDES["retinaface"])
    with pytest.raises(WeightsError, match="use detector='retinaface'"):
        ScrfdDetector(OPTIONS, [retinaface])
    with pytest.raises(WeightsError, match="12 outputs; scrfd has none of that number"):
        ScrfdDetector(OPTIONS, [shared / "weights" / "yunet_n_320_320.onnx"])
    text = tmp_path / "text.onnx"
    text.write_text("no network", encoding="utf-8")
    with pytest.raises(FormatError):
        ScrfdDetector(OPTIONS, [text])


def test_a_network_of_other_strides_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "small.onnx"
    write_anchor_graph(file, (8, 16, 32), anchors=3, points=False)
    ScrfdDetector(OPTIONS, [file])
    write_anchor_graph(file, (8, 16), anchors=2)
    with pytest.raises(WeightsError, match=r"output 2 has the shape \[1, 8, 1\]|output 3 has"):
        ScrfdDetector(OPTIONS, [file])
