"""Names of faces in photos of every orientation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from facetool.errors import FormatError
from facetool.files.xmp import FaceRegion, read_regions, sidecar_of, write_regions
from facetool.images.named_faces import BoxedName, read_names, write_names
from facetool.images.read import read_image

FACE = BoxedName("Ann", (20.0, 30.0, 50.0, 70.0), "confidence 0.9")


def photo(folder: Path, orientation: int) -> Path:
    """Upright 100 wide and 200 high, the face a white box, stored turned."""
    upright = np.zeros((200, 100, 3), np.uint8)
    left, top, right, bottom = map(int, FACE.box)
    upright[top:bottom, left:right] = 255
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.fromarray(upright)
    image = image if undo is None else image.transpose(undo)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = folder / f"{orientation}.png"
    image.save(path, exif=exif)
    assert np.array_equal(read_image(path), upright)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_are_those_of_the_stored_image(orientation: int, tmp_path: Path) -> None:
    path = photo(tmp_path, orientation)
    write_names(path, [FACE])
    (region,) = read_regions(sidecar_of(path))
    with Image.open(path) as stored:
        white = np.argwhere(np.asarray(stored.convert("L")) > 128)
    height, width = (200, 100) if orientation < 5 else (100, 200)
    y, x = (white.min(axis=0) + white.max(axis=0) + 1) / 2 / (height, width)
    assert (region.x, region.y) == pytest.approx((x, y))
    (back,) = read_names(path)
    assert back.box == pytest.approx(FACE.box, abs=1e-3)
    assert back.name == "Ann"


def test_names_given_elsewhere_are_not_overwritten(tmp_path: Path) -> None:
    path = photo(tmp_path, 1)
    write_regions(sidecar_of(path), [FaceRegion("Mary", 0.5, 0.5, 0.2, 0.2)], 100, 200)
    before = sidecar_of(path).read_bytes()
    with pytest.raises(FormatError, match=r"named elsewhere \(Mary\)"):
        write_names(path, [FACE])
    assert sidecar_of(path).read_bytes() == before
    sidecar_of(path).unlink()
    write_names(path, [FACE])
    write_names(path, [FACE._replace(name="Bea")])  # what facetool wrote may change
    assert [face.name for face in read_names(path)] == ["Bea"]


def test_names_inside_a_photo_are_read(tmp_path: Path) -> None:
    path = tmp_path / "inside.jpg"
    write_regions(tmp_path / "x.xmp", [FaceRegion("Ann", 0.5, 0.5, 0.2, 0.2)], 100, 200)
    xmp = (tmp_path / "x.xmp").read_bytes()
    Image.new("RGB", (100, 200)).save(path, xmp=xmp)
    before = path.read_bytes()
    assert [face.name for face in read_names(path)] == ["Ann"]
    assert path.read_bytes() == before
