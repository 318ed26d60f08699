"""The plot that explains crops, and where crops lie in photos."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from facetool.alignment.crop import cut_face
from facetool.alignment.outline import crop_outline
from facetool.alignment.recipes import ARCFACE_112, DLIB_CHIP, OPENFACE_OUTER, Crop
from facetool.cli.align import command
from facetool.errors import FacetoolError
from facetool.files.align_manifest import read_manifest
from facetool.pipeline.explain import explain_alignment

FIVE = np.array([[150, 102], [128, 104], [70, 90], [94, 96], [108, 140]], float)  # dlib's order
ARCFACE = np.array([[82, 93], [139, 103], [108, 130], [85, 150], [125, 158]], float)


@pytest.mark.parametrize(
    ("crop", "points"), [(ARCFACE_112, ARCFACE), (OPENFACE_OUTER, FIVE), (DLIB_CHIP, FIVE)]
)
def test_an_outline_is_what_the_crop_shows(crop: Crop, points: np.ndarray) -> None:
    """A photo of smooth colours, cut by the outline alone, gives the same crop."""
    rows, columns = np.mgrid[0:240, 0:240]
    photo = np.stack([columns, rows, np.full_like(rows, 100)], axis=2).astype(np.uint8)
    outline = crop_outline(points, crop)
    assert outline is not None
    corners = np.array([(0, 0), (crop.width, 0), (crop.width, crop.height)], np.float32)
    matrix = cv2.getAffineTransform(outline[:3].astype(np.float32), corners)
    expected = cv2.warpAffine(photo, matrix, (crop.width, crop.height)).astype(int)
    found = cut_face(photo, points, crop).astype(int)
    inside = slice(10, -10)
    assert np.abs(found - expected)[inside, inside].mean() < 1.5


@pytest.mark.slow
def test_faces_are_explained(album: Path, crops: Path, tmp_path: Path) -> None:
    explain_alignment(album, crops, DLIB_CHIP, tmp_path / "explain.png")
    assert (tmp_path / "explain.png").read_bytes().startswith(b"\x89PNG")
    aligned = [row.input for row in read_manifest(crops / "align.csv") if row.status == "aligned"]
    assert aligned
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.jpg").write_bytes((album / aligned[0]).read_bytes())
    with pytest.raises(FacetoolError, match="no crop of a face"):
        explain_alignment(other, crops, DLIB_CHIP, tmp_path / "none.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in", "out", "--explain", "a.gif"], "png or .pdf"),
        (["-", "out", "--explain", "a.png"], "once more"),
    ],
)
def test_what_cannot_be_explained_is_said_before_anything_is_aligned(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert message in str(done.exception)
    assert not (tmp_path / "out").exists()
