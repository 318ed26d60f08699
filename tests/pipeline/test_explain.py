"""The plot that explains crops, and where crops lie in photos."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cli.align import command
from facetool.errors import FacetoolError
from facetool.files.align_manifest import read_manifest
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.explain import explain_alignment


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


@pytest.mark.slow
def test_crops_under_a_name_are_explained(album: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(min(album.glob("*/*_0001.jpg")).read_bytes())
    align(photos, tmp_path / "crops", AlignSettings(crop=DLIB_CHIP), into="first")
    plot = tmp_path / "explain.png"
    explain_alignment(photos, tmp_path / "crops", DLIB_CHIP, plot, into="first")
    assert plot.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FacetoolError, match="no crop of a face"):
        explain_alignment(photos, tmp_path / "crops", DLIB_CHIP, plot, into="second")
