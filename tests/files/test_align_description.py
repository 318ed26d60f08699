"""``align.json`` comes back as it was written, and says why crops do not go together."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facetool.alignment.recipes import ARCFACE_112, DLIB_CHIP
from facetool.cropping.settings import AlignSettings
from facetool.errors import FormatError
from facetool.files.align_description import (
    AlignDescription,
    read_align_description,
    write_align_description,
)

WRITTEN = {
    "crop": {
        "method": "similarity",
        "landmarks": "arcface",
        "width": 112,
        "height": 112,
        "detector": "mtcnn",
    },
    "detector": {
        "name": "mtcnn",
        "options": {"min_face_size": 20, "thresholds": [0.6, 0.7, 0.7]},
        "weights": {"pnet.caffemodel": "ab"},
    },
    "select": "largest",
    "on_no_face": "center",
    "fallback": None,
    "points": "mtcnn 5",
    "strict": False,
    "counts": {"aligned": 3},
    "facetool": "0.1.0",
}
DESCRIPTION = AlignDescription.from_dict(WRITTEN)


def test_a_file_comes_back_byte_for_byte(tmp_path: Path) -> None:
    text = json.dumps(WRITTEN, indent=2) + "\n"
    (tmp_path / "align.json").write_text(text)
    description = read_align_description(tmp_path)
    assert description is not None and description.points == "mtcnn 5"
    write_align_description(tmp_path, description)
    assert (tmp_path / "align.json").read_text() == text


def test_a_folder_of_facetool_0_1_is_readable(tmp_path: Path) -> None:
    old = {key: value for key, value in WRITTEN.items() if key != "detector"}
    (tmp_path / "align.json").write_text(json.dumps({**old, "upsample": 1, "mtcnn": None}))
    description = read_align_description(tmp_path)
    assert description is not None and description.crop == WRITTEN["crop"]
    assert description.detector is None


OF_0_1 = {
    "crop": {"method": "chip", "landmarks": "five", "width": 150, "height": 150, "detector": "hog"},
    "upsample": 1,
    "select": "largest",
    "on_no_face": "skip",
    "fallback": None,
    "points": "dlib 5",
    "mtcnn": None,
    "counts": {"aligned": 4},
    "facetool": "0.1.0",
}
OF_0_1_WITH_MTCNN = {
    **OF_0_1,
    "crop": {**WRITTEN["crop"], "detector": "mtcnn"},  # type: ignore[dict-item]
    "points": "mtcnn 5",
    "mtcnn": {"thresholds": [0.6, 0.7, 0.8], "min_face_size": 20, "scale_factor": 0.709},
}


@pytest.mark.parametrize("detector", ["hog", "cnn", "mtcnn"])
def test_settings_of_facetool_0_1_are_known_again(detector: str) -> None:
    crop = replace(ARCFACE_112 if detector == "mtcnn" else DLIB_CHIP, detector=detector)
    written = OF_0_1_WITH_MTCNN if detector == "mtcnn" else {**OF_0_1, "crop": crop.as_dict()}
    before = AlignDescription.from_dict(written)
    assert before.difference(AlignSettings(crop=crop).description()) is None


@pytest.mark.parametrize(
    ("detector", "option", "said"),
    [
        ("hog", {"upsample": 2}, "options upsample 2 there, options upsample 1 now"),
        ("mtcnn", {"mtcnn": {"min_face_size": 9}}, "options min_face_size 9"),
    ],
)
def test_other_settings_of_facetool_0_1_are_said(
    detector: str, option: dict[str, Any], said: str
) -> None:
    crop, written = (ARCFACE_112, OF_0_1_WITH_MTCNN) if detector == "mtcnn" else (DLIB_CHIP, OF_0_1)
    before = AlignDescription.from_dict({**written, **option})
    difference = before.difference(AlignSettings(crop=crop).description())
    assert difference is not None and difference.startswith(f"detector {said}")


@pytest.mark.parametrize(("key", "value"), [("upsample", "1"), ("mtcnn", [])])
def test_settings_of_facetool_0_1_of_another_kind(key: str, value: object) -> None:
    with pytest.raises(FormatError, match=f"{key} is not "):
        AlignDescription.from_dict({**OF_0_1_WITH_MTCNN, key: value})


def test_a_folder_that_says_nothing(tmp_path: Path) -> None:
    assert read_align_description(tmp_path) is None


@pytest.mark.parametrize("key", [key for key in WRITTEN if key != "counts"])
def test_values_of_another_kind(tmp_path: Path, key: str) -> None:
    (tmp_path / "align.json").write_text(json.dumps({**WRITTEN, key: 7.5}))
    with pytest.raises(FormatError, match=rf"align\.json: {key} is not "):
        read_align_description(tmp_path)


def test_difference_is_in_words() -> None:
    running = replace(DESCRIPTION, counts=None, facetool=None)
    assert DESCRIPTION.difference(running) is None
    assert "counts" not in running.as_dict() and "facetool" not in running.as_dict()
    assert DESCRIPTION.difference(replace(running, select="all")) == (
        "select largest there, all now"
    )
    smaller = replace(running, crop={**WRITTEN["crop"], "width": 96})  # type: ignore[dict-item]
    assert DESCRIPTION.difference(smaller) == "crop width 112 there, width 96 now"
    assert AlignDescription().difference(running) is not None


def test_of_options_within_options_only_the_different_are_named() -> None:
    before = replace(DESCRIPTION, detector={"name": "yunet", "options": {"min_score": 0.6}})
    now = {"name": "yunet", "options": {"min_score": 0.6, "dtype": "bfloat16"}}
    assert before.difference(replace(DESCRIPTION, detector=now)) == (
        "detector options no dtype there, options dtype bfloat16 now"
    )
