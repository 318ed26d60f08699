"""Crops of the InsightFace path: whose points, which settings, in processes and in threads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from facetool.alignment.landmarks import arcface_points
from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96, OPENFACE_OUTER, override
from facetool.alignment.similarity import similarity_crop
from facetool.cli.align import command
from facetool.cropping import photo_cropper
from facetool.detection.options import DetectionSettings, MapOptions, MtcnnOptions
from facetool.detection.scrfd import SCRFD_STRIDES
from facetool.errors import UsageError, WeightsError
from facetool.files.align_manifest import AlignRow, read_manifest
from facetool.files.json_file import read_json
from facetool.images.read import read_image
from facetool.pipeline import align as stage
from facetool.pipeline.align import AlignSettings, align
from facetool.sample.album import draw_image
from tests.detection.anchor_graph import write_anchor_graph

ARCFACE = AlignSettings(crop=ARCFACE_112X96)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drawn people, one in a smaller photo, and a wall."""
    folder = tmp_path_factory.mktemp("photos")
    # To MTCNN the sixth of them looks clearer lying on the side.
    for number, person in enumerate((0, 1, 2, 3, 4, 7)):
        photo = Image.fromarray(draw_image(seed=3, person=person, image=0)[0])
        if number == 2:
            photo = photo.resize((180, 180))
        photo.save(folder / f"{number}.png")
    Image.new("RGB", (250, 250), (90, 120, 90)).save(folder / "wall.png")
    return folder


@pytest.fixture(scope="module")
def aligned(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aligned")
    align(photos, folder, replace(ARCFACE, on_no_face="center"), jobs=1)
    return folder


def points_of(row: AlignRow) -> np.ndarray:
    return np.array(row.landmarks.split(), dtype=np.float64).reshape(-1, 2)


@pytest.mark.slow
def test_crops_come_from_the_detectors_points(photos: Path, aligned: Path) -> None:
    rows = list(read_manifest(aligned / "align.csv"))
    assert [row.status for row in rows] == ["aligned"] * 6 + ["center"]
    for row in rows[:6]:
        assert points_of(row).shape == (5, 2)
        again = similarity_crop(read_image(photos / row.input), points_of(row), 96, 112)
        assert np.array_equal(again, read_image(aligned / row.output))
    # A face assumed in the centre has fixed points: eyes level, above nose and mouth.
    left, right, nose, *mouth = points_of(rows[6])
    assert left[0] < nose[0] < right[0]
    assert max(left[1], right[1]) < nose[1] < min(corner[1] for corner in mouth)
    assert np.abs(points_of(rows[6]).mean(axis=0) - 125).max() < 20
    described = read_json(aligned / "align.json")
    assert described["points"] == "mtcnn 5"
    assert described["detector"]["options"] == {
        "thresholds": [0.6, 0.7, 0.8],
        "min_face_size": 20,
        "scale_factor": 0.709,
    }


@pytest.mark.slow
def test_threads_on_one_device_give_the_same(
    photos: Path, aligned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "check_detector", lambda detector, device: "cpu:0")
    monkeypatch.setattr(photo_cropper, "_GPU_CHUNK", 3)
    monkeypatch.setattr(photo_cropper, "_BATCH_PIXELS", 2 * 250 * 250)
    align(photos, tmp_path / "out", replace(ARCFACE, on_no_face="center"), jobs=2)
    assert (tmp_path / "out" / "align.json").read_bytes() == (aligned / "align.json").read_bytes()
    here, there = (list(read_manifest(each / "align.csv")) for each in (tmp_path / "out", aligned))
    for found, expected in zip(here, there, strict=True):
        assert (found.input, found.status) == (expected.input, expected.status)
        # Other batches, other rounding: of the points, and with them of the crop.
        np.testing.assert_allclose(points_of(found), points_of(expected), atol=0.0021)
        crops = read_image(tmp_path / "out" / found.output), read_image(aligned / found.output)
        assert np.abs(np.subtract(*crops, dtype=float)).mean() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "source", "count"),
    [
        (replace(ARCFACE, predictor=68), "dlib 68", 68),
        (AlignSettings(crop=override(ARCFACE_112, detector="hog")), "dlib 68", 68),
        (AlignSettings(crop=override(OPENFACE_OUTER, detector="mtcnn")), "dlib 68", 68),
        (AlignSettings(crop=OPENFACE_OUTER, predictor=5), "dlib 5", 5),
    ],
)
def test_the_manifest_says_whose_points(
    photos: Path, tmp_path: Path, settings: AlignSettings, source: str, count: int
) -> None:
    align(photos, tmp_path / "out", settings, jobs=1)
    rows = [row for row in read_manifest(tmp_path / "out" / "align.csv") if row.output]
    assert len(rows) >= 5
    assert all(len(points_of(row)) == count for row in rows)
    assert read_json(tmp_path / "out" / "align.json")["points"] == source


@pytest.mark.slow
def test_dlibs_points_lie_near_mtcnns(photos: Path, aligned: Path, tmp_path: Path) -> None:
    align(photos, tmp_path / "out", replace(ARCFACE, predictor=68), jobs=1)
    of_dlib = list(read_manifest(tmp_path / "out" / "align.csv"))[:6]
    of_mtcnn = list(read_manifest(aligned / "align.csv"))[:6]
    for ours, theirs in zip(of_dlib, of_mtcnn, strict=True):
        five, expected = arcface_points(points_of(ours)), points_of(theirs)
        eyes = np.linalg.norm(expected[1] - expected[0])
        assert np.linalg.norm(five - expected, axis=1).max() < 0.35 * eyes


def test_a_predictor_must_have_the_points(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="predictor=5 does not give the points arcface"):
        align(photos, tmp_path / "out", replace(ARCFACE, predictor=5))


@pytest.mark.slow
def test_other_settings_are_other_crops(photos: Path, aligned: Path) -> None:
    smaller = DetectionSettings(options=MtcnnOptions(min_face_size=40))
    changed = replace(ARCFACE, on_no_face="center", detection=smaller)
    with pytest.raises(UsageError, match="other settings"):
        align(photos, aligned, changed)


def test_another_precision_makes_other_crops(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "retinaface.onnx"
    write_anchor_graph(file, SCRFD_STRIDES["retinaface"])
    crop = override(ARCFACE_112, detector="retinaface")

    def in_precision(dtype: str, out: Path) -> dict[str, Any]:
        detection = DetectionSettings(weights=file, options=MapOptions(dtype=dtype))
        align(photos, out, AlignSettings(crop=crop, detection=detection), jobs=1)
        options: dict[str, Any] = read_json(out / "align.json")["detector"]["options"]
        return options

    out = tmp_path / "out"
    assert in_precision("bfloat16", out)["dtype"] == "bfloat16"
    assert in_precision("bfloat16", out)["dtype"] == "bfloat16"
    with pytest.raises(UsageError, match="other settings"):
        in_precision("float32", out)
    assert in_precision("float32", tmp_path / "wide") == {"min_score": 0.5, "max_overlap": 0.4}


@pytest.mark.parametrize(
    "values",
    [{"thresholds": (0.5, 2.0, 0.5)}, {"min_face_size": 0}, {"scale_factor": 1.0}],
)
def test_options_out_of_range(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(values))}: give"):
        MtcnnOptions(**values)  # type: ignore[arg-type]


def test_options_of_mtcnn_need_mtcnn(photos: Path, tmp_path: Path) -> None:
    arguments = [str(photos), str(tmp_path / "out"), "--min-face-size", "40"]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, UsageError)
    assert "--min-face-size belongs to --detector mtcnn" in str(result.exception)


@pytest.mark.slow
def test_options_on_the_command_line(photos: Path, tmp_path: Path) -> None:
    options = "--detector mtcnn --thresholds 0.5 0.6 0.7 --min-face-size 30 --scale-factor 0.6"
    arguments = [str(photos), str(tmp_path / "out"), *options.split(), "--device", "cpu"]
    CliRunner().invoke(command, [*arguments, "--jobs", "1"], standalone_mode=False)
    assert read_json(tmp_path / "out" / "align.json")["detector"]["options"] == {
        "thresholds": [0.5, 0.6, 0.7],
        "min_face_size": 30,
        "scale_factor": 0.6,
    }


def test_missing_weights_are_named_at_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facetool.files.package_files.find_spec", lambda package: None)
    with pytest.raises(WeightsError, match="pip install mtcnn"):
        align(photos, tmp_path / "out", ARCFACE)
