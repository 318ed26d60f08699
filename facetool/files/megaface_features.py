"""MegaFace's feature files: a matrix ``{i32 rows, cols, stride, type; data}`` in a ``.bin`` each.

The layout is OpenCV's: ``stride`` is the bytes of a row, ``type`` 5 is float32 and 6 float64. An
embedding is a column: D rows, 1 column. A set of them is a folder, with one file per image that
is named ``<image>_<algorithm>.bin``. Which images that set must have says a list.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError
from facetool.files.embed_plan import plan_name
from facetool.files.embeddings import Embeddings, read_embeddings
from facetool.files.json_file import parse_json
from facetool.files.text import read_bytes, read_text

_HEADER = struct.Struct("<4i")
_TYPES: dict[int, np.dtype[Any]] = {5: np.dtype("<f4"), 6: np.dtype("<f8")}
_IMAGE_NAME = re.compile(r"(.+?\.[A-Za-z0-9]{3,4})_[^/]*\.bin")


def read_feature(path: Path) -> NDArray[np.float32]:
    """Read a feature file: float32 (N, D); a single row or column is one embedding (1, D).

    Raises:
        FormatError: it cannot be read, or its size is not what its header says.
    """
    data = read_bytes(path)
    if len(data) < _HEADER.size:
        raise FormatError(f"{path}: {len(data)} bytes are too few for a feature file")
    rows, columns, stride, code = _HEADER.unpack_from(data)
    kind = _TYPES.get(code)
    if kind is None or rows < 1 or columns < 1 or stride < columns * kind.itemsize:
        raise FormatError(
            f"{path} is not a feature file: rows {rows}, columns {columns}, stride {stride}, "
            f"type {code}"
        )
    if len(data) - _HEADER.size != rows * stride:
        raise FormatError(
            f"{path}: {len(data) - _HEADER.size:,} bytes of data, the header says {rows * stride:,}"
        )
    table = np.frombuffer(data, np.uint8, offset=_HEADER.size).reshape(rows, stride)
    values = np.ascontiguousarray(table[:, : columns * kind.itemsize]).view(kind)
    found = np.asarray(values.reshape(1, -1) if columns == 1 else values, np.float32)
    if not np.isfinite(found).all():
        raise FormatError(f"{path} has a value that is not finite")
    return found


def write_feature(file: IO[bytes], vector: NDArray[np.float32]) -> None:
    """Write one embedding (D,) as MegaFace's and InsightFace's tools do."""
    file.write(_HEADER.pack(len(vector), 1, 4, 5))
    file.write(np.asarray(vector, "<f4").tobytes())


def read_features(path: Path) -> Embeddings:
    """Embeddings from a represent folder, a folder of feature files, or one feature file.

    Images of a folder of feature files are named by the path of their files, without what
    follows the image's own name.

    Raises:
        FormatError: nothing of the kind is there, or it is damaged.
    """
    if not path.is_dir():
        vectors = read_feature(path)
        return _embeddings([f"{path.name}:{row + 1}" for row in range(len(vectors))], vectors)
    if any((path / name).is_file() for name in ("reps.npy", "reps.csv", plan_name(1))):
        return read_embeddings(path)
    files = sorted(
        os.path.join(folder, name)  # noqa: PTH118 (a million of them)
        for folder, _, names in os.walk(path)
        for name in names
        if name.endswith(".bin")
    )
    if not files:
        raise FormatError(f"{path}: neither a represent folder nor one of feature files (.bin)")
    first = read_feature(Path(files[0]))
    vectors = np.empty((len(files), first.shape[1]), np.float32)
    for row, file in enumerate(files):
        found = read_feature(Path(file))
        if found.shape != (1, first.shape[1]):
            raise FormatError(f"{file}: {found.shape}, where {files[0]} has {first.shape}")
        vectors[row] = found[0]
    start = len(str(path)) + 1
    return _embeddings([image_name(file[start:].replace(os.sep, "/")) for file in files], vectors)


def read_listed_images(path: Path) -> list[str]:
    """Images of a template list of the development kit, or of a text with a path per line.

    A template list is a JSON document whose ``path`` has the images, such as
    ``363/36390361@N05/3433800567_0.jpg``; the texts are InsightFace's ``facescrub_lst`` and
    ``megaface_lst``.

    Raises:
        FormatError: it cannot be read as either, or lists nothing.
    """
    text = read_text(path)
    if text.lstrip().startswith("{"):
        images = parse_json(text, str(path)).get("path")
        if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
            raise FormatError(f"{path}: no list of MegaFace: its path is no list of images")
    else:
        images = [line.strip() for line in text.split("\n") if line.strip()]
    if not images:
        raise FormatError(f"{path} lists no image")
    return list(dict.fromkeys(images))


def image_name(feature: str) -> str:
    """The image of a feature file: ``a/b.jpg`` of ``a/b.jpg_insightface.bin``."""
    found = _IMAGE_NAME.fullmatch(feature)
    return found[1] if found else feature.removesuffix(".bin")


def _embeddings(names: list[str], vectors: NDArray[np.float32]) -> Embeddings:
    people = [name.rpartition("/")[0] for name in names]
    labels = np.unique(people, return_inverse=True)[1] + 1
    return Embeddings(names, labels.astype(np.int64), vectors)
