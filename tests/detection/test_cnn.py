"""dlib's CNN detector on PyTorch against dlib's own, and against itself in smaller pieces."""

from pathlib import Path

import dlib
import numpy as np
import pytest
import torch

from facetool.cropping.detectors import create_detector
from facetool.detection import cnn
from facetool.detection.cnn import CnnDetector, lay_out, places_along, upsampled_size
from facetool.detection.cnn_network import load_model
from facetool.detection.face import Face
from facetool.detection.options import DetectionSettings, DlibOptions
from facetool.errors import FormatError
from facetool.files.dlib_files import FACE_RECOGNITION_RESNET, MMOD_DETECTOR, dlib_model_path
from facetool.images.read import RGBImage, read_image
from facetool.sample.album import draw_image

PATH = dlib_model_path(MMOD_DETECTOR)


def create(upsample: int, device: str = "cpu") -> CnnDetector:
    settings = DetectionSettings(options=DlibOptions(upsample=upsample))
    detector = create_detector("cnn", settings, device=device).detector
    assert isinstance(detector, CnnDetector)
    return detector


@pytest.fixture(scope="module")
def drawn() -> list[RGBImage]:
    """Three portraits of one size, two beside each other, half a face, and nobody."""
    portraits = [draw_image(seed=3, person=person, image=0)[0] for person in range(3)]
    small = [portrait[60:210:1, 50:200] for portrait in portraits]
    return [*small, np.hstack(small[:2]), small[0][:, :70], np.full((90, 80, 3), 90, np.uint8)]


def assert_same(found: list[Face], expected: list[Face], tolerance: float = 1e-3) -> None:
    assert [face.box for face in found] == [face.box for face in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=tolerance)


def dlibs(images: list[RGBImage], upsample: int) -> list[list[tuple[tuple[int, ...], float]]]:
    """Boxes and scores by dlib itself."""
    detector = dlib.cnn_face_detection_model_v1(str(PATH))
    return [
        [
            ((one.rect.left(), one.rect.top(), one.rect.right(), one.rect.bottom()), one.confidence)
            for one in detector(image, upsample)
        ]
        for image in images
    ]


def assert_dlibs_own(images: list[RGBImage], upsample: int) -> int:
    """Boxes within two pixels, scores within a thousandth; returns the number of faces."""
    count = 0
    found = create(upsample).detect(images)
    for ours, theirs in zip(found, dlibs(images, upsample), strict=True):
        assert len(ours) == len(theirs)
        for face, (box, score) in zip(ours, theirs, strict=True):
            assert np.abs(np.subtract(face.box, box)).max() <= 2
            assert face.score == pytest.approx(score, abs=1e-3)
        count += len(ours)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("upsample", [0, 1])
def test_faces_are_dlibs_own(drawn: list[RGBImage], upsample: int) -> None:
    assert assert_dlibs_own(drawn[3:], upsample) >= 2


@pytest.mark.slow
def test_faces_of_photos_are_dlibs_own(shared: Path) -> None:
    paths = sorted((shared / "photos" / "lfw-colour").rglob("*.jpg"))[::50]
    assert assert_dlibs_own([read_image(path) for path in paths], upsample=0) >= 2


@pytest.mark.slow
def test_photos_in_a_batch_are_found_as_alone(drawn: list[RGBImage]) -> None:
    detector = create(1)
    together = detector.detect(drawn)
    assert sum(map(len, together)) >= 5
    for image, found in zip(drawn, together, strict=True):
        (alone,) = detector.detect([image])
        assert_same(found, alone, 1e-4)


def test_strips_give_what_the_whole_gives(
    drawn: list[RGBImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = create(1).detect([drawn[3]])
    monkeypatch.setitem(cnn._PASS_PIXELS, "cpu", 2**17)
    monkeypatch.setattr(cnn, "_ROWS_PIXELS", 2**12)
    (in_strips,) = create(1).detect([drawn[3]])
    assert len(whole) >= 2
    assert_same(in_strips, whole, 1e-4)


def test_half_precision_finds_the_same_faces(
    drawn: list[RGBImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = create(1).detect([drawn[3]])
    monkeypatch.setattr(cnn, "_WHOLE_PIXELS", 0)
    (half,) = create(1).detect([drawn[3]])
    assert_same(half, whole, 0.01)


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (4, 4), (30, 7), (200, 20)])
def test_images_too_small_for_a_face(shape: tuple[int, int]) -> None:
    assert create(1).detect([np.full((*shape, 3), 90, np.uint8)]) == [[]]


def test_levels_do_not_touch() -> None:
    random = np.random.default_rng(1)
    for height, width in random.integers(1, 900, (50, 2)).tolist():
        layout = lay_out(height, width)
        canvas = np.zeros((layout.height, layout.width), np.int8)
        for level in layout.levels:
            assert level.top >= 11
            assert level.top + level.height <= layout.height - 11
            assert level.left + level.width <= layout.width - 11
            rows = slice(level.top, level.top + level.height)
            canvas[rows, level.left : level.left + level.width] += 1
        assert canvas.max() == 1


def test_the_network_has_as_many_places_as_are_counted() -> None:
    network = load_model(PATH).network
    for length in (29, 36, 37, 100, 101):
        with torch.inference_mode():
            scores = network(torch.zeros(1, 3, length, 61))
        assert scores.shape[2:] == (places_along(length), places_along(61))


def test_upsampled_size() -> None:
    assert upsampled_size(250, 300, 0) == (250, 300)
    assert upsampled_size(250, 300, 1) == (501, 602)
    assert upsampled_size(10, 20, 2) == (43, 86)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = PATH.read_bytes()
    damaged = tmp_path / "mmod.dat"
    for length in (1, 40, 100, 5_000, 5_103, 100_000, len(whole) - 1):
        damaged.write_bytes(whole[:length])
        with pytest.raises(FormatError, match=r"mmod\.dat"):
            load_model(damaged)
    damaged.write_bytes(whole + b"\0")
    with pytest.raises(FormatError, match="1 bytes follow the network"):
        load_model(damaged)


def test_another_network_is_refused() -> None:
    with pytest.raises(FormatError, match="dlib's face detection network has 'loss_mmod_'"):
        load_model(dlib_model_path(FACE_RECOGNITION_RESNET))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_finds_the_same_faces(drawn: list[RGBImage]) -> None:
    for ours, theirs in zip(create(1, "cuda").detect(drawn), create(1).detect(drawn), strict=True):
        assert_same(ours, theirs, 1e-3)
