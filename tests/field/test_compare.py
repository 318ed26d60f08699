"""compare in scripts: verdicts that can be relied on."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.files.align_manifest import read_manifest
from tests.field.commands import facetool


@pytest.fixture(scope="module")
def photo(album: Path, crops: Path) -> Path:
    rows = read_manifest(crops / "align.csv")
    return album / next(row.input for row in rows if row.status == "aligned")


@pytest.mark.slow
def test_a_photo_is_compared_with_itself_and_the_legend_is_no_verdict(photo: Path) -> None:
    beside = f"{photo.parent}/./{photo.name}"
    for other in (str(photo), beside):
        done = facetool("compare", photo, other)
        _, row, legend = done.stdout.decode().splitlines()
        assert row.split()[2] == "same"
        assert "same" not in legend
        assert "different" not in legend
    done = facetool("compare", photo, photo, "--threshold", 1e-9, "--exit-code")
    assert done.returncode == 0
    assert facetool("compare", photo, photo, "--threshold", -1).returncode == 2


@pytest.mark.slow
def test_the_exit_code_is_the_verdict(album: Path, crops: Path) -> None:
    rows = [row.input for row in read_manifest(crops / "align.csv") if row.status == "aligned"]
    two = [album / rows[0], album / rows[1]]
    assert facetool("compare", *two, "--threshold", 9, "--exit-code").returncode == 0
    assert facetool("compare", *two, "--threshold", 1e-9, "--exit-code").returncode == 1


@pytest.mark.slow
def test_a_failed_photo_is_in_the_json_and_no_verdict(photo: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad\udcff.jpg"
    bad.write_text("no")
    done = facetool("compare", photo, bad, "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["comparisons"] == []
    assert answer["failed"][0]["image"] == str(bad)
    done = facetool("compare", photo, bad, "--exit-code")
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"bad\\xff.jpg: " in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_not_exactly_one_face_is_said(photo: Path, tmp_path: Path) -> None:
    once = np.asarray(Image.open(photo).convert("RGB"))
    Image.fromarray(np.concatenate([once, once], axis=1)).save(tmp_path / "two.png")
    done = facetool("compare", photo, tmp_path / "two.png", "--select", "only", "--exit-code")
    assert done.returncode == 2
    assert "two.png: not exactly one face: 2 found" in done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("detector", "hint"),
    [
        ("hog", "the detector mtcnn or a larger photo may help"),
        ("mtcnn", "a larger photo may help"),
    ],
)
def test_nobody_is_told_to_use_the_detector_that_is_used(
    tmp_path: Path, detector: str, hint: str
) -> None:
    Image.new("RGB", (120, 120), "gray").save(tmp_path / "a.png")
    done = facetool("compare", tmp_path / "a.png", tmp_path / "a.png", "--detector", detector)
    assert f"a.png: no face found; {hint}\n" in done.stderr.decode()
    assert done.returncode == 1
