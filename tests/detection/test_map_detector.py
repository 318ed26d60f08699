"""Detectors of one network in bfloat16 against float32."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.detection.map_detector import Head
from facetool.detection.options import MapOptions, YunetOptions
from facetool.detection.registry import build_detector
from facetool.detection.scrfd import SCRFD_STRIDES, AnchorHead
from facetool.detection.yunet import YunetHead
from facetool.errors import UsageError
from facetool.images.read import RGBImage, read_image
from facetool.sample.album import draw_image
from tests.detection.anchor_graph import write_anchor_graph
from tests.detection.reference import as_array


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[RGBImage]:
    """Photos of people, some of several, and drawn people."""
    read = [read_image(path) for path in sorted((shared / "photos").rglob("*.jpg"))[::2]]
    return [*read, *(draw_image(seed=3, person=person, image=0)[0] for person in range(4))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "file", "usual", "most"),
    [
        # Of YuNet another of several neighbouring places may win, whose scores hardly differ.
        ("yunet", YunetOptions(), "yunet_n_320_320.onnx", 0.6, 8.0),
        ("scrfd", MapOptions(), "scrfd_2.5g_bnkps.onnx", 0.25, 0.5),
    ],
)
def test_the_same_faces(
    shared: Path,
    photos: list[RGBImage],
    name: str,
    options: MapOptions,
    file: str,
    usual: float,
    most: float,
) -> None:
    weights = (shared / "weights" / file,)
    expected = build_detector(name, options, weights).detect(photos)
    found = build_detector(name, replace(options, dtype="bfloat16"), weights).detect(photos)
    moved = []
    for faces, others in zip(found, expected, strict=True):
        assert len(faces) == len(others)
        for other in as_array(others):
            by = np.abs(as_array(faces) - other)
            moved.append(by[by[:, :4].max(axis=1).argmin()])
    assert len(moved) > 0.9 * len(photos)
    edges, scores, points = np.split(np.array(moved), [4, 5], axis=1)
    assert 0 < np.percentile(edges, 90) < usual
    assert 0 < np.percentile(points, 90) < usual
    assert edges.max() < most
    assert scores.max() < 0.01


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_them_in_bfloat16_too(shared: Path, photos: list[RGBImage]) -> None:
    weights = (shared / "weights" / "scrfd_2.5g_bnkps.onnx",)
    expected = build_detector("scrfd", MapOptions(), weights).detect(photos)
    on_gpu = build_detector("scrfd", MapOptions(dtype="bfloat16"), weights, "cuda")
    for faces, others in zip(on_gpu.detect(photos), expected, strict=True):
        np.testing.assert_allclose(as_array(faces), as_array(others), atol=1.0)


@pytest.mark.parametrize("head", [AnchorHead((8, 16, 32)), YunetHead(range(12))])
def test_bfloat16_holds_pixels_exactly(head: Head) -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    exact = head.prepare(pixels, torch.float32)
    assert torch.equal(head.prepare(pixels, torch.bfloat16).float(), exact)
    assert len(exact.unique()) == 256


def test_places_far_to_the_right_are_exact(tmp_path: Path) -> None:
    """Of 4,224 pixels bfloat16 could say only every 32nd."""
    file = tmp_path / "retinaface.onnx"
    write_anchor_graph(file, SCRFD_STRIDES["retinaface"])
    options = MapOptions(max_overlap=1.0, dtype="bfloat16")
    tile = draw_image(seed=3, person=0, image=0)[0][50:178, 50:178]
    (faces,) = build_detector("retinaface", options, (file,)).detect([np.tile(tile, (1, 33, 1))])
    boxes = as_array(faces)[:, :4]
    in_tile = [boxes[(boxes[:, 0] // 128 == n)] - (128 * n, 0, 128 * n, 0) for n in (16, 24)]
    first, second = ([tuple(box) for box in of_tile.round(2)] for of_tile in in_tile)
    assert len(first) > 10
    assert sorted(first) == sorted(second)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(UsageError, match="dtype: give one of float32, bfloat16"):
        YunetOptions(dtype="float16")


def test_the_default_is_described_as_before() -> None:
    assert YunetOptions().as_dict() == {"min_score": 0.6, "max_overlap": 0.3}
    assert MapOptions(dtype="bfloat16").as_dict()["dtype"] == "bfloat16"
