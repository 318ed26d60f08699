"""Photos by the names that crops were given."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetool.errors import ImageError
from facetool.files.recordio import RecordWriter
from facetool.images.aligned_photos import AlignedPhotos
from facetool.images.records import format_record


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((2, 3, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Photos in two folders, of which one is named as record files are, and in a record file."""
    for number, name in enumerate(("plain/ann/1.png", "holiday.rec/ann/1.png")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(png(number))
    with (tmp_path / "a.rec").open("wb") as file, (tmp_path / "a.idx").open("w") as index:
        RecordWriter(file, index).write(5, format_record((0.0, 0.0), 5, png(2)))
    return {under: str(tmp_path / under) for under in ("plain", "holiday.rec", "a.rec")}


def test_the_first_part_of_a_name_says_which_place(places: dict[str, str]) -> None:
    photos = AlignedPhotos(places)
    for number, name in enumerate(("plain/ann/1.png", "holiday.rec/ann/1.png", "a.rec/0/5")):
        assert photos.read(name)[0, 0].tolist() == [number] * 3
    assert photos.path("plain/ann/1.png") == Path(places["plain"], "ann/1.png")
    for name in ("ann/1.png", "plainer/ann/1.png", "plain"):
        with pytest.raises(ImageError, match="not known"):
            photos.find(name)


def test_one_place_needs_no_such_part(places: dict[str, str]) -> None:
    photos = AlignedPhotos({"": places["plain"]})
    assert photos.path("ann/1.png") == Path(places["plain"], "ann/1.png")
    assert photos.read("ann/1.png").shape == (2, 3, 3)
