"""MTCNN against the package's own results, and against a plain reading of the method."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from facetool.cropping.detectors import create_detector, detector_weights
from facetool.detection import mtcnn
from facetool.detection.face import Box, Face
from facetool.detection.mtcnn import MtcnnDetector
from facetool.detection.mtcnn_weights import read_weights
from facetool.detection.options import DetectionSettings, MtcnnOptions
from facetool.errors import UsageError
from facetool.images.read import RGBImage, read_image
from facetool.sample.album import draw_image

GOLDEN = Path(__file__).parent / "mtcnn_faces.json"


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return mtcnn_with()


def mtcnn_with(device: str = "cpu", **options: object) -> MtcnnDetector:
    settings = DetectionSettings(options=MtcnnOptions(**options))  # type: ignore[arg-type]
    made = create_detector("mtcnn", settings, device=device).detector
    assert isinstance(made, MtcnnDetector)
    return made


@pytest.fixture(scope="module")
def drawn() -> list[RGBImage]:
    """Twelve drawn people, 250x250."""
    return [draw_image(seed=3, person=person, image=0)[0] for person in range(12)]


def as_array(faces: list[Face]) -> NDArray[np.float64]:
    """(N, 15): box, score and points."""
    rows = [
        [*face.box, face.score, *np.ravel(face.landmarks)]  # type: ignore[arg-type]
        for face in faces
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 15)


def assert_same(found: list[Face], expected: list[Face], tolerance: float) -> None:
    assert len(found) == len(expected)
    np.testing.assert_allclose(as_array(found), as_array(expected), atol=tolerance)


@pytest.mark.slow
def test_faces_are_the_packages_own(shared: Path, detector: MtcnnDetector) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["faces"]
    photos = [read_image(shared / name) for name in golden]
    same_faces, point_errors, box_errors, score_errors = 0, [], [], []
    for faces, rows in zip(detector.detect(photos), golden.values(), strict=True):
        found, expected = as_array(faces), np.array(rows).reshape(-1, 15)
        if len(found) != len(expected):
            continue
        eyes = np.linalg.norm(expected[:, 5:7] - expected[:, 7:9], axis=1)[:, None]
        boxes = np.abs(found[:, :4] - expected[:, :4]) / eyes
        points = np.linalg.norm((found - expected)[:, 5:].reshape(-1, 5, 2), axis=2) / eyes
        same_faces += bool((boxes < 0.1).all())
        box_errors += boxes.ravel().tolist()
        point_errors += points.ravel().tolist()
        score_errors += np.abs(found[:, 4] - expected[:, 4]).tolist()
    assert len(golden) == 408
    assert same_faces >= 0.99 * len(golden)
    # The golden is rounded to 0.01 pixels, of some 40 between the eyes.
    assert np.median(point_errors) < 0.0005
    assert np.quantile(point_errors, 0.99) < 0.001
    assert np.quantile(box_errors, 0.99) < 0.001
    assert np.quantile(score_errors, 0.99) < 0.0001


@pytest.mark.slow
def test_faces_are_those_of_a_plain_cascade(detector: MtcnnDetector, drawn: list[RGBImage]) -> None:
    found = detector.detect(drawn)
    assert sum(len(faces) > 0 for faces in found) >= 10
    for image, faces in zip(drawn[:6], found[:6], strict=True):
        assert_same(faces, plain_cascade(image), 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"min_face_size": 60}, {"scale_factor": 0.5}])
def test_options_of_the_pyramid(options: dict[str, float], drawn: list[RGBImage]) -> None:
    image = drawn[0]
    found = mtcnn_with(**options).detect([image])[0]  # type: ignore[arg-type]
    assert_same(found, plain_cascade(image, **options), 0.02)  # type: ignore[arg-type]


@pytest.mark.slow
def test_no_face_is_smaller_or_less_sure_than_asked(drawn: list[RGBImage]) -> None:
    picture = cv2.resize(drawn[0], (500, 500)).astype(np.uint8)
    picture[:70, :70] = cv2.resize(drawn[1], (70, 70), interpolation=cv2.INTER_AREA)
    small, large = sorted(mtcnn_with().detect([picture])[0], key=lambda face: face.box.area)
    assert large.box.area > 10 * small.box.area
    (found,) = mtcnn_with(min_face_size=100).detect([picture])[0]
    assert abs(found.box.left - large.box.left) < 20
    sure = (large.score + small.score) / 2
    assert large.score != small.score
    assert len(mtcnn_with(thresholds=(0.6, 0.7, sure)).detect([picture])[0]) == 1


def test_points_are_ordered_as_seen(detector: MtcnnDetector, drawn: list[RGBImage]) -> None:
    for faces in detector.detect(drawn):
        for face in faces:
            assert face.landmarks is not None
            assert face.landmarks.shape == (5, 2)
            left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
            assert left_eye[0] < nose[0] < right_eye[0]
            assert left_mouth[0] < right_mouth[0]
            assert left_eye[1] < nose[1] < left_mouth[1]


def test_company_changes_nothing(
    detector: MtcnnDetector, drawn: list[RGBImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches, sizes mixed, strips of a level, several tables: always the same faces."""
    wide = np.hstack([drawn[0], drawn[1]])
    images = [drawn[0], wide, drawn[1], drawn[2][:201, :187], drawn[3]]
    together = detector.detect(images)
    for image, faces in zip(images, together, strict=True):
        assert_same(detector.detect([image])[0], faces, 0.01)
    monkeypatch.setattr(
        detector, "_pass", mtcnn._Pass(stack=2**17, pixels=5000, refine=7, output=2)
    )
    monkeypatch.setattr("facetool.detection.pyramid._TABLE_PIXELS", 10_000)
    for faces, strips in zip(together, detector.detect(images), strict=True):
        assert_same(strips, faces, 0.01)


@pytest.mark.parametrize("shape", [(1, 1), (11, 400), (12, 12), (13, 300), (37, 20)])
def test_images_too_small_for_a_face(detector: MtcnnDetector, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detector.detect([noise, noise]) == [[], []]


def test_no_images(detector: MtcnnDetector) -> None:
    assert detector.detect([]) == []


def test_two_networks_find_the_points_of_a_crop(
    detector: MtcnnDetector, drawn: list[RGBImage]
) -> None:
    """Photos of one face and little else, as InsightFace's deploy/test.py takes them."""
    refining = mtcnn_with(stages="ro")
    distances = []
    for image, faces in zip(drawn, detector.detect(drawn), strict=True):
        left, top, right, bottom = (round(edge) for edge in faces[0].box)
        margin = round((bottom - top) * 0.15)
        start = max(left - margin, 0), max(top - margin, 0)
        crop = image[start[1] : bottom + margin, start[0] : right + margin]
        (found,) = refining.detect([crop])[0]
        whole, points = faces[0].landmarks, found.landmarks
        assert whole is not None and points is not None
        offset = np.linalg.norm(points + start - whole, axis=1).mean()
        distances.append(offset / np.linalg.norm(whole[1] - whole[0]))
    assert np.median(distances) < 0.05
    assert max(distances) < 0.2


def test_two_networks_have_thresholds_of_their_own() -> None:
    assert MtcnnOptions(stages="ro").thresholds == (0, 0, 0.2)
    assert MtcnnOptions().thresholds == (0.6, 0.7, 0.8)
    assert MtcnnOptions(stages="ro", thresholds=(0, 0.1, 0.3)).thresholds == (0, 0.1, 0.3)
    assert MtcnnOptions(stages="ro").as_dict()["stages"] == "ro"
    assert "stages" not in MtcnnOptions().as_dict()  # align.json of earlier versions has none
    with pytest.raises(UsageError, match="pro, ro"):
        MtcnnOptions(stages="or")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same_faces(detector: MtcnnDetector, drawn: list[RGBImage]) -> None:
    images = [*drawn, np.hstack([drawn[0], drawn[1]])]
    on_gpu = mtcnn_with("cuda").detect(images)
    for found, expected in zip(on_gpu, detector.detect(images), strict=True):
        assert_same(found, expected, 0.05)


# The reference: one image, one level, one box at a time, written from the paper and the weights'
# layout; scaling by OpenCV, suppression by a loop.


def plain_cascade(
    image: RGBImage, min_face_size: int = 20, scale_factor: float = 0.709
) -> list[Face]:
    proposal, refine, output = (
        [torch.tensor(array) for array in read_weights(path)] for path in detector_weights("mtcnn")
    )
    pixels = ((image - 127.5) / 128).astype(np.float32)
    rows: list[list[float]] = []
    scale = 12 / min_face_size
    while min(image.shape[:2]) * scale >= 12:
        size = (int(image.shape[1] * scale), int(image.shape[0] * scale))
        level = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        rows += plain_suppress(plain_proposals(proposal, level, scale), 0.5)
        scale *= scale_factor
    rows = plain_suppress(rows, 0.7)
    refined = []
    for row in rows:
        values = plain_network(refine, plain_patch(pixels, square(row), 24), (3, 3, 0))
        if values[-1] > 0.7:
            refined.append([*moved(square(row), values[:4]), values[-1]])
    final = []
    for row in plain_suppress(refined, 0.7):
        box = square(row)
        values = plain_network(output, plain_patch(pixels, box, 48), (3, 3, 2, 0))
        if values[-1] > 0.8:
            edge = box[2] - box[0] + 1
            xs = [box[0] - 1 + edge * value for value in values[4:9]]
            ys = [box[1] - 1 + edge * value for value in values[9:14]]
            final.append([*moved(box, values[:4]), values[-1], *xs, *ys])
    height, width = image.shape[:2]
    faces = []
    for left, top, right, bottom, score, *points in plain_suppress(final, 0.7, by_smaller=True):
        inside = Box(max(left, 0), max(top, 0), min(right, width - 1), min(bottom, height - 1))
        faces.append(Face(inside, score, np.array(points).reshape(2, 5).T))
    return faces


def plain_proposals(
    arrays: list[torch.Tensor], level: NDArray[np.float32], scale: float
) -> list[list[float]]:
    x = torch.from_numpy(level).permute(2, 0, 1)[None]
    for layer in range(3):
        weight, bias, slope = arrays[3 * layer : 3 * layer + 3]
        x = F.prelu(F.conv2d(x, weight.permute(3, 2, 0, 1), bias), slope.flatten())
        if layer == 0:
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
    edges = F.conv2d(x, arrays[9].permute(3, 2, 0, 1), arrays[10])[0]
    face = F.conv2d(x, arrays[11].permute(3, 2, 0, 1), arrays[12])[0].softmax(0)[1]
    rows = []
    for y, x_ in (face > 0.6).nonzero().tolist():
        corners = (2 * x_ + 1, 2 * y + 1, 2 * x_ + 12, 2 * y + 12)
        moves = edges[:, y, x_].tolist()
        box = [(edge + 11 * move) / scale for edge, move in zip(corners, moves, strict=True)]
        rows.append([*box, face[y, x_].item()])
    return rows


def plain_network(
    arrays: list[torch.Tensor], patch: NDArray[np.float32], pools: tuple[int, ...]
) -> list[float]:
    """All outputs, the probability of a face last."""
    x = torch.from_numpy(patch).permute(2, 0, 1)[None]
    for layer, pool in enumerate(pools):
        weight, bias, slope = arrays[3 * layer : 3 * layer + 3]
        x = F.prelu(F.conv2d(x, weight.permute(3, 2, 0, 1), bias), slope.flatten())
        if pool:
            x = F.max_pool2d(x, pool, 2, ceil_mode=layer == 0)
    weight, bias, slope, *heads = arrays[3 * len(pools) :]
    x = F.prelu(x.permute(0, 3, 2, 1).flatten(1) @ weight + bias, slope)
    outputs = [(x @ weight + bias)[0] for weight, bias in zip(heads[::2], heads[1::2], strict=True)]
    return [*torch.cat(outputs[:-1]).tolist(), outputs[-1].softmax(0)[1].item()]


def plain_patch(pixels: NDArray[np.float32], box: list[float], size: int) -> NDArray[np.float32]:
    height, width, _ = pixels.shape
    patch = np.zeros((size, size, 3), np.float32)
    for row in range(size):
        y = (box[1] + (box[3] - box[1]) * row / (size - 1)) * (height - 1) / height
        for column in range(size):
            x = (box[0] + (box[2] - box[0]) * column / (size - 1)) * (width - 1) / width
            if 0 <= x <= width - 1 and 0 <= y <= height - 1:
                x0, y0 = int(x), int(y)
                x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
                above = pixels[y0, x0] * (x0 + 1 - x) + pixels[y0, x1] * (x - x0)
                below = pixels[y1, x0] * (x0 + 1 - x) + pixels[y1, x1] * (x - x0)
                patch[row, column] = above * (y0 + 1 - y) + below * (y - y0)
    return patch


def square(row: list[float]) -> list[float]:
    left, top, right, bottom = row[:4]
    edge = max(right - left, bottom - top)
    left, top = (left + right - edge) / 2, (top + bottom - edge) / 2
    return [left, top, left + edge, top + edge]


def moved(box: list[float], offsets: list[float]) -> list[float]:
    edge = box[2] - box[0] + 1
    return [side + edge * offset for side, offset in zip(box, offsets, strict=True)]


def plain_suppress(
    rows: list[list[float]], threshold: float, by_smaller: bool = False
) -> list[list[float]]:
    """A box goes if any better one, itself kept or not, overlaps it too much."""
    rows = sorted(rows, key=lambda row: row[4])[::-1]
    kept = []
    for number, row in enumerate(rows):
        if not any(overlap(row, better, by_smaller) > threshold for better in rows[:number]):
            kept.append(row)
    return kept


def overlap(a: list[float], b: list[float], by_smaller: bool) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (min(areas) if by_smaller else sum(areas) - shared)
