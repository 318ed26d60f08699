"""MegaFace's feature files."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError
from facetool.files.megaface_features import (
    image_name,
    read_feature,
    read_features,
    read_listed_images,
    write_feature,
)


def write(path: Path, vector: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_feature(file, vector)


def test_bytes_of_a_feature() -> None:
    file = io.BytesIO()
    write_feature(file, np.array([1.0, -2.5], np.float32))
    assert file.getvalue() == struct.pack("<4i2f", 2, 1, 4, 5, 1.0, -2.5)


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
@pytest.mark.parametrize("padding", [0, 8])
def test_matrix_with_padded_rows(tmp_path: Path, kind: str, padding: int) -> None:
    values = np.arange(6, dtype=kind).reshape(2, 3)
    stride = values.strides[0] + padding
    header = struct.pack("<4i", 2, 3, stride, 5 if kind == "<f4" else 6)
    path = tmp_path / "a.bin"
    path.write_bytes(header + b"".join(row.tobytes() + bytes(padding) for row in values))
    assert read_feature(path).tolist() == values.tolist()
    assert read_features(path).names == ["a.bin:1", "a.bin:2"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(15),
        struct.pack("<4i", 2, 1, 4, 5),
        struct.pack("<4i3f", 2, 1, 4, 5, 1, 2, 3),
        struct.pack("<4i2f", 2, 1, 4, 7, 1, 2),
        struct.pack("<4i2f", 2, 1, 2, 5, 1, 2),
        struct.pack("<4i2f", -2, 1, -4, 5, 1, 2),
        struct.pack("<4i", 1 << 30, 1 << 30, 1 << 30, 5),
        struct.pack("<4i2f", 2, 1, 4, 5, 1, float("nan")),
    ],
)
def test_damaged_features(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.bin"):
        read_feature(path)


def test_folder_of_features(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    names = ["A/1.jpg", "A/2.jpg", "B/1.png"]
    for name, vector in zip(names, vectors, strict=True):
        write(tmp_path / f"{name}_insightface.bin", vector)
    found = read_features(tmp_path)
    assert found.names == names
    assert found.labels.tolist() == [1, 1, 2]
    assert (found.vectors == vectors).all()
    write(tmp_path / "C" / "1.jpg_x.bin", vectors[0, :2])
    with pytest.raises(FormatError, match=r"\(1, 2\)"):
        read_features(tmp_path)


def test_folder_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="neither"):
        read_features(tmp_path)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("A/1.jpg_insightface.bin", "A/1.jpg"),
        ("Jr._X/Jr._X_4.png_LBP_100x100.bin", "Jr._X/Jr._X_4.png"),
        ("A/1.bin", "A/1"),
    ],
)
def test_image_of_a_feature_file(file: str, name: str) -> None:
    assert image_name(file) == name


@pytest.mark.parametrize(
    "text",
    [
        '{"path": ["A/1.jpg", "B/2.png"], "id": ["A", "B"]}',
        '\n{"id": ["A", "B"], "path": ["A/1.jpg", "B/2.png"]}\n',
        "A/1.jpg\nB/2.png\n",
        "\ufeffA/1.jpg\r\n\r\nB/2.png \r\nA/1.jpg",
    ],
)
def test_lists_of_the_development_kit_and_of_insightface(tmp_path: Path, text: str) -> None:
    path = tmp_path / "megaface_features_list.json_10_1"
    path.write_bytes(text.encode())
    assert read_listed_images(path) == ["A/1.jpg", "B/2.png"]


@pytest.mark.parametrize("text", ["", " \n", '{"path": []}', '{"path": "A"}', '{"id": []}', "{"])
def test_lists_of_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some_list.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"some_list\.json"):
        read_listed_images(path)
