"""``align`` on photos that lie on their side, and on ones that are searched at another size."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cli.align import command
from facetool.cropping import detectors
from facetool.cropping.face_cropper import FaceCropper
from facetool.detection import registry
from facetool.files.align_description import read_align_description
from facetool.files.align_manifest import AlignRow, read_manifest
from facetool.images.read import RGBImage, read_image
from facetool.sample.album import draw_image


def write(path: Path, image: RGBImage) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[:, :, ::-1])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person upright, turned to either side and on the head."""
    folder = tmp_path_factory.mktemp("turned")
    portrait, _ = draw_image(seed=3, person=1, image=0)
    for name, quarters in [("upright", 0), ("left", 1), ("head", 2), ("right", 3)]:
        write(folder / "ann" / f"{name}.png", np.ascontiguousarray(np.rot90(portrait, quarters)))
    return folder


def run(*arguments: str | Path) -> None:
    line = [str(argument) for argument in arguments]
    CliRunner().invoke(command, line, standalone_mode=False, catch_exceptions=False)


def rows_of(folder: Path) -> dict[str, AlignRow]:
    return {Path(row.input).stem: row for row in read_manifest(folder / "align.csv")}


@pytest.mark.slow
def test_turned_photos_give_the_upright_crop(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "out", "--rotate", "if-missed", "--jobs", "1")
    rows = rows_of(tmp_path / "out")
    assert {name: row.turn for name, row in rows.items()} == {
        "upright": "0",
        "left": "90",
        "head": "180",
        "right": "270",
    }
    expected = read_image(tmp_path / "out" / rows["upright"].output)
    for row in rows.values():
        crop = read_image(tmp_path / "out" / row.output)
        assert np.abs(np.subtract(crop, expected, dtype=float)).mean() < 4
    described = read_align_description(tmp_path / "out")
    assert described is not None
    assert described.detector is not None
    assert described.detector["rotate"] == "if-missed"


@pytest.mark.slow
def test_another_size_is_another_setting(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "out", "--detect-at", "200", "--jobs", "1")
    described = read_align_description(tmp_path / "out")
    assert described is not None
    assert described.detector is not None
    assert described.detector["detect_at"] == 200
    assert rows_of(tmp_path / "out")["upright"].turn == "0"


def test_a_photo_too_large_is_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(registry.DETECTORS["hog"], most_pixels=4 * 40_000)
    monkeypatch.setattr(detectors, "detector_entry", lambda name: small)
    portrait = read_image(photos / "ann" / "upright.png")
    cropper = FaceCropper(DLIB_CHIP)
    expected = "searched for faces at 200x200: too large to be searched as it is"
    assert cropper.remark(portrait) == expected
    assert cropper.remark(portrait[:100, :100]) == ""
    assert len(cropper.crops(portrait)) == 1


def test_rows_of_version_0_1_are_read(tmp_path: Path) -> None:
    manifest = tmp_path / "align.csv"
    manifest.write_text(
        "input,status,reason,left,top,right,bottom,score,landmarks,output\n"
        "ann/a.jpg,aligned,,1,2,3,4,1.5,1 2 3 4,ann/a.png\n"
    )
    (row,) = read_manifest(manifest)
    assert (row.output, row.turn) == ("ann/a.png", "")
