"""``represent.json`` comes back as it was written, and says why folders do not go together."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facetool.errors import FormatError
from facetool.files.represent_description import (
    RepresentDescription,
    read_represent_description,
    write_represent_description,
)

# As facetool 0.1 wrote it.
WRITTEN = {
    "network": "dlib-resnet",
    "weights": {"name": "dlib-resnet.v1", "sha256": "ab" * 32},
    "embedding_size": 128,
    "unit_length": True,
    "recipe": {
        "crop": {
            "method": "chip",
            "landmarks": "five",
            "width": 150,
            "height": 150,
            "detector": "hog",
        },
        "mean": 0.0,
        "scale": 1.0,
    },
    "flip": "none",
    "device": "cpu",
    "dtype": "float32",
    "batch_size": 64,
    "input": "crops",
    "input_listing_sha256": "cd" * 32,
    "versions": {"facetool": "0.1.0", "torch": "2.0", "numpy": "2.0"},
    "counts": {"images": 3, "failed": 0},
    "missed_faces": ["Ann/1.png"],
}
DESCRIPTION = RepresentDescription.from_dict(WRITTEN)


def test_a_file_comes_back_byte_for_byte(tmp_path: Path) -> None:
    text = json.dumps(WRITTEN, indent=2) + "\n"
    (tmp_path / "represent.json").write_text(text)
    description = read_represent_description(tmp_path)
    assert description.weights_name == "dlib-resnet.v1" and description.missed_faces
    write_represent_description(tmp_path, description)
    assert (tmp_path / "represent.json").read_text() == text


def test_names_that_are_not_utf8_come_back(tmp_path: Path) -> None:
    missed = ["\udcff.png", "Zoë.png"]
    write_represent_description(tmp_path, replace(DESCRIPTION, missed_faces=missed))
    assert read_represent_description(tmp_path).missed_faces == missed


@pytest.mark.parametrize("values", [{}, {"network": "n"}, {"network": "n", "seen": [1]}])
def test_what_other_versions_say_less_or_more_comes_back(values: dict[str, Any]) -> None:
    assert RepresentDescription.from_dict(values).as_dict() == values


def test_a_folder_of_openface_says_nothing(tmp_path: Path) -> None:
    assert read_represent_description(tmp_path) == RepresentDescription()


@pytest.mark.parametrize(
    "key", [key for key in WRITTEN if key not in ("versions", "weights", "counts")]
)
def test_values_of_another_kind(tmp_path: Path, key: str) -> None:
    (tmp_path / "represent.json").write_text(json.dumps({**WRITTEN, key: 7.5}))
    with pytest.raises(FormatError, match=rf"represent\.json: {key} is not "):
        read_represent_description(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "", "\xff"])
def test_a_damaged_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "represent.json").write_text(text, encoding="latin-1")
    with pytest.raises(FormatError, match=r"represent\.json"):
        read_represent_description(tmp_path)


def test_difference_between_folders() -> None:
    other = replace(DESCRIPTION, device="cuda", batch_size=1, input="elsewhere")
    assert DESCRIPTION.difference(other) is None
    assert DESCRIPTION.difference(RepresentDescription()) is None
    assert DESCRIPTION.difference(replace(DESCRIPTION, weights_name="a copy")) is None
    assert DESCRIPTION.difference(replace(DESCRIPTION, flip="sum")) == "flip none and sum"
    other_input = replace(DESCRIPTION, recipe={**(DESCRIPTION.recipe or {}), "mean": 7.0})
    assert "mean 7.0" in str(DESCRIPTION.difference(other_input))
    weights = DESCRIPTION.difference(replace(DESCRIPTION, weights_sha256="ef" * 32))
    assert weights == (
        "weights dlib-resnet.v1 (sha256 abababab…) and dlib-resnet.v1 (sha256 efefefef…)"
    )


def test_change_between_runs() -> None:
    again = replace(DESCRIPTION, versions={"facetool": "0.2"}, input="./crops", counts=None)
    assert DESCRIPTION.change(again) is None
    assert DESCRIPTION.change(replace(again, dtype="float16")) == (
        "dtype float32 there, float16 now"
    )
    assert DESCRIPTION.change(replace(again, input_listing_sha256="")) == "other images"
    assert RepresentDescription().change(again) == "network not stated there, dlib-resnet now"


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999"])
@pytest.mark.parametrize("key", ["squared_l2", "far"])
def test_numbers_that_are_not_finite(tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "represent.json").write_text(f'{{"threshold": {{"{key}": {value}}}}}')
    with pytest.raises(FormatError, match=rf"represent\.json: .*{value} is not a finite number"):
        read_represent_description(tmp_path)


@pytest.mark.parametrize("value", [-5, 0, True, "0.9"])
def test_a_threshold_that_is_no_distance(tmp_path: Path, value: object) -> None:
    (tmp_path / "represent.json").write_text(json.dumps({"threshold": {"squared_l2": value}}))
    with pytest.raises(FormatError, match=r"represent\.json: the threshold is not one between"):
        read_represent_description(tmp_path)
